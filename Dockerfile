# The server with its default model inside: a container starts without a network.
#
#   docker build -t kgt .
#   docker build -t kgt --build-arg TORCH_INDEX=ADDRESS .    PyTorch's own index of CPU builds: an image of a third the size
#
# Stages: `build` installs into a virtual environment, `model` converts the default model, the last one only copies.

ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/kgt/venv
ENV PATH=/opt/kgt/venv/bin:$PATH
COPY docker/constraints.txt /src/docker/
# The heavy part first, so that a change of the code does not download it again.
RUN torch=$(grep '^torch==' /src/docker/constraints.txt) \
 && ${TORCH_INDEX:+env PIP_INDEX_URL="$TORCH_INDEX"} pip install -q "$torch"
COPY pyproject.toml LICENSE NOTICE* README* /src/
COPY kgt /src/kgt
COPY kgload /src/kgload
COPY server /src/server
RUN cd /src && touch README.md && pip install -q -c docker/constraints.txt ".[server]"

FROM build AS model
ENV KGT_CACHE=/opt/kgt/cache
RUN cd / && python -m server.lm.fetch

FROM ${PYTHON}
RUN groupadd -g 10001 kgt && useradd -r -u 10001 -g kgt -d /nonexistent -s /usr/sbin/nologin kgt \
 && mkdir -p /data && chown kgt:kgt /data
COPY --from=build /opt/kgt/venv /opt/kgt/venv
COPY --from=model /opt/kgt/cache /opt/kgt/cache
# The server may listen beyond its container: who reaches it is decided where its port is published.
ENV PATH=/opt/kgt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 \
    KGT_CACHE=/opt/kgt/cache KGT_DATA=/data KGT_ADDRESS=0.0.0.0:50051 KGT_INSECURE_BIND=1
VOLUME /data
USER 10001:10001
WORKDIR /tmp
EXPOSE 50051
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["python", "-m", "server.health"]
CMD ["python", "-m", "server"]
