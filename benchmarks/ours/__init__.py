"""Our side: the same work by jaxviz. Imports no other runtime than JAX."""
