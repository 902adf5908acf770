#!/bin/bash
# All hosts of a Cloud TPU slice: docs/launch/tpu_pod.sh NAME ZONE. /shared is a Filestore that each host has mounted.
set -euo pipefail

name=${1:?name of the TPU}
zone=${2:?its zone}

gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --worker=all --command '
    pip install --quiet "jaxviz-vision[tpu,jobs]" &&
    jaxviz saliency /shared/photos --method hirescam --devices all --distributed --out /shared/run
'
