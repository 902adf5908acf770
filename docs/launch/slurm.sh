#!/bin/bash
# One process for each GPU: sbatch docs/launch/slurm.sh. All of a node's GPUs are visible to its tasks, and JAX gives
# each its own; so no --gpus-per-task.
#SBATCH --job-name=jaxviz
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00

# 0: done; 3: done, but some pictures could not be read. All else goes on where it stopped.
for attempt in 1 2 3; do
    srun jaxviz saliency /shared/photos --method hirescam --workers 8 --out /shared/run
    code=$?
    if [ "$code" -eq 0 ] || [ "$code" -eq 3 ]; then
        break
    fi
    echo "attempt $attempt ended with $code" >&2
done
exit "$code"
