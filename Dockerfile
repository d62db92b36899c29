# The server with its default model inside, so that a container starts without a network.
#
#   docker build -t kgt .
#   docker build -t kgt --build-arg TORCH_INDEX=ADDRESS .    PyTorch's own index of CPU builds saves 4.5 GB
#   docker build -t kgt --build-arg EXTRA=ray .    with Ray, for replicas of the model (deploy/helm/kgt, ray.enabled)
#   docker build -t kgt --build-arg PYTHON=python:3.11-slim@sha256:... .    exactly this base, whatever its tag means today
#
# `make up` takes these from KGT_TORCH_INDEX and KGT_PYTHON_IMAGE; `make pin-images` writes the digests to .env.
#
# Stages: `packages` installs the dependencies, from the same lock as `make`. `model` converts the default model. `code` is
# this project. The last stage only copies, and what changes most comes last, so a change of the code is built in seconds.

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS packages
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/kgt/venv
ENV PATH=/opt/kgt/venv/bin:$PATH
ARG EXTRA=
COPY requirements/install.sh requirements/torch.txt requirements/server.txt requirements/ray.txt /src/requirements/
RUN KGT_TORCH_INDEX="$TORCH_INDEX" sh /src/requirements/install.sh python3 $EXTRA

FROM packages AS model
ENV KGT_CACHE=/opt/kgt/cache
COPY server/__init__.py server/errors.py server/files.py /src/server/
COPY server/lm/__init__.py server/lm/conversion.py server/lm/fetch.py server/lm/folders.py server/lm/progress.py \
    server/lm/whole.py /src/server/lm/
RUN cd /src && python -m server.lm.fetch

FROM packages AS code
COPY pyproject.toml LICENSE NOTICE README.md /src/
COPY kgt /src/kgt
COPY kgload /src/kgload
COPY server /src/server
RUN pip install -q --no-deps --no-build-isolation --target /opt/kgt/code /src

FROM ${PYTHON}
RUN groupadd -g 10001 kgt && useradd -u 10001 -g kgt -d /nonexistent -s /usr/sbin/nologin kgt \
 && mkdir -p /data && chown kgt:kgt /data \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=packages /opt/kgt/venv /opt/kgt/venv
COPY --from=model /opt/kgt/cache /opt/kgt/cache
COPY --from=code /opt/kgt/code /opt/kgt/code
# Without KGT_AUTH and TLS the server listens only on loopback here too, which is the container's own. docker-compose.yml sets
# KGT_ADDRESS and KGT_INSECURE_BIND to make it reachable from this machine.
ENV PATH=/opt/kgt/venv/bin:/opt/kgt/code/bin:$PATH PYTHONPATH=/opt/kgt/code PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 \
    KGT_CACHE=/opt/kgt/cache KGT_DATA=/data
VOLUME /data
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-m", "server.health"]
CMD ["python", "-m", "server"]
