# Two targets (docs/containers.md):
#   docker build --target api .   the service: slim, no compiler, non-root, runs on a read-only root file system
#   docker build --target all .   the service, SGLang and CUDA in one image; --target sglang is the engine alone
#
# Both bases are build arguments, so that a mirror, an internal image or a digest can take their place. A tag may point
# to other bytes tomorrow; for a build that can be repeated give the digest: PYTHON_IMAGE=python@sha256:<digest>.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# SGLang from 0.5.20 on needs CUDA 13, and the torch 2.14.1 that 0.5.23 pins is built with CUDA 13.0.3: keep the two in
# step. "devel", because SGLang compiles some of its kernels with nvcc when it starts; Ubuntu 24.04 for Python 3.12.
ARG CUDA_IMAGE=nvidia/cuda:13.0.3-cudnn-devel-ubuntu24.04


FROM ${PYTHON_IMAGE} AS api-deps
# Where packages come from is the builder's business: pip's own variables and, for a configuration with a password or
# a certificate, the secrets pip_conf and ca_bundle. Neither leaves this stage.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_CONFIG_FILE=/run/secrets/pip_conf \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements.txt ./
# Wheels only: a package that would need a compiler fails here, by name.
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_bundle \
    python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --only-binary=:all: --require-hashes -r requirements.txt


# The service itself as a wheel: an edit to it changes one small layer of the images, not the one of its dependencies.
FROM api-deps AS api-wheel
COPY pyproject.toml README.md* ./
COPY app ./app
RUN /opt/venv/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist .


FROM ${PYTHON_IMAGE} AS api
# libgomp1: OpenMP, the one library that the embedded engine takes from the system. tini: the kernel drops a SIGTERM to
# process 1 that has no handler yet, so without it a container that is still starting, or fetching a model, cannot be
# stopped. Versions are those of the base's release.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libgomp1 tini \
 && rm -rf /var/lib/apt/lists/*
# A numeric id, so that an orchestrator can tell that it is not root. /models belongs to it: a new named volume takes
# over its owner. /app/models makes MODELS_DIR=models of .env.example mean the volume as well.
RUN groupadd --gid 10001 app \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app \
 && install -d -o 10001 -g 10001 /models \
 && install -d /app \
 && ln -s /models /app/models
COPY --from=api-deps /opt/venv /opt/venv
COPY deploy/container/healthcheck.py /opt/healthcheck.py
# Copied, not mounted: not every builder notices that a mounted file has changed, and then installs yesterday's service.
COPY --from=api-wheel /dist /opt/dist
# pip stays in the environment: `llm-service fetch` asks it which package index to use.
RUN /opt/venv/bin/pip install --no-cache-dir --no-index --no-deps /opt/dist/*.whl
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODELS_DIR=/models
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, not ready: restarting the service does not help an engine that is still loading its model.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/opt/healthcheck.py", "/health/live"]
# Without -g: the signal goes to the service alone, which stops its engine in order.
ENTRYPOINT ["tini", "--"]
CMD ["llm-service", "serve"]


FROM ${CUDA_IMAGE} AS sglang
# 0.5.19 is the last release with a CUDA 12 build; docs/containers.md says what else it takes.
ARG SGLANG_VERSION=0.5.23
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
# A C++ compiler and Python's headers: nvcc and Triton call them when SGLang compiles its kernels. libnuma1: sgl-kernel.
# Versions are those of the base image's release.
# hadolint ignore=DL3008
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    build-essential ca-certificates libnuma1 python3-dev python3-venv tini \
 && rm -rf /var/lib/apt/lists/*
# An environment of its own: SGLang pins other versions of packages that the service uses.
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_bundle \
    python3 -m venv /opt/sglang \
 && PIP_CONFIG_FILE=/run/secrets/pip_conf /opt/sglang/bin/pip install --no-cache-dir "sglang[all]==${SGLANG_VERSION}"
# Compiled kernels and the model's download outlive the container if they are in the volume.
RUN groupadd --gid 10001 app \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /home/app --shell /usr/sbin/nologin app \
 && install -d -m 1777 /home/app \
 && install -d -o 10001 -g 10001 /models \
 && install -d /app \
 && ln -s /models /app/models
COPY --chmod=755 deploy/container/drop-root.sh /opt/drop-root.sh
COPY deploy/container/healthcheck.py /opt/healthcheck.py
ENV PATH=/opt/sglang/bin:$PATH \
    CUDA_HOME=/usr/local/cuda \
    HOME=/home/app \
    XDG_CACHE_HOME=/models/.cache \
    HF_HOME=/models/huggingface \
    PYTHONUNBUFFERED=1
WORKDIR /app
# Starts as root, only to find out who owns the mounted /models, and goes on as that user.
ENTRYPOINT ["/opt/drop-root.sh", "tini", "--"]
STOPSIGNAL SIGTERM
# For compose.yaml, where the engine has a container to itself. It listens on loopback unless it is told otherwise.
CMD ["sglang", "serve", "--help"]


FROM sglang AS all
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY requirements.txt /opt/requirements.txt
COPY --from=api-wheel /dist /opt/dist
RUN --mount=type=secret,id=pip_conf --mount=type=secret,id=ca_bundle \
    export PIP_CONFIG_FILE=/run/secrets/pip_conf PIP_NO_CACHE_DIR=1 \
 && python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --only-binary=:all: --require-hashes -r /opt/requirements.txt \
 && /opt/venv/bin/pip install --no-index --no-deps /opt/dist/*.whl
# /opt/venv first: `python` is the service's; `sglang`, and the `ninja` it compiles with, are found behind it.
ENV PATH=/opt/venv/bin:$PATH \
    MODELS_DIR=/models \
    SGLANG_PYTHON=/opt/sglang/bin/python
# 8000 only. The engine listens on loopback inside the container: who can reach it needs no key, passes every limit of
# the service and can stop it, so publishing port 30000 reaches nothing until the engine is told to listen elsewhere.
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/opt/healthcheck.py", "/health/live"]
CMD ["llm-service", "serve", "--with-engine"]
