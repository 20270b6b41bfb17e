# syntax=docker/dockerfile:1

# One environment, two images: the wheel of onnxruntime-gpu holds the CPU and the CUDA provider, so what is built once
# serves both targets, and the GPU image only adds NVIDIA's libraries below it.
#
#   docker build --target cpu --tag marey:cpu .
#   docker build --target gpu --tag marey:gpu .

# bookworm's C library (2.36) is older than Ubuntu 24.04's (2.39), so that this Python runs on both bases.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# onnxruntime-gpu 1.31 is built for CUDA 13.0 and cuDNN 9; the host needs driver 580 or newer.
ARG CUDA_IMAGE=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04


FROM ${PYTHON_IMAGE} AS build
WORKDIR /opt/marey
RUN python -m venv .venv
COPY pyproject.toml README.md LICENSE marey.py terminal.py ./
COPY pipeline/ pipeline/
COPY service/ service/
RUN --mount=type=cache,target=/root/.cache/pip \
    .venv/bin/python -m pip --disable-pip-version-check install --quiet --editable .
COPY docker/ docker/


FROM ${PYTHON_IMAGE} AS cpu
# OpenCV links against these two, whether or not a window is ever shown.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/marey /opt/marey
RUN sh /opt/marey/docker/prepare
ENV PATH=/opt/marey/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MAREY_PORT=8000 \
    MAREY_PROVIDER=cpu \
    MAREY_CACHE=/var/lib/marey/weights \
    MAREY_MODEL_FOLDERS=/var/lib/marey/bundles \
    MAREY_JOBS_FOLDER=/var/lib/marey/jobs \
    MAREY_LOG_JSON=true
USER marey
RUN marey doctor
EXPOSE 8000
VOLUME /var/lib/marey
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "/opt/marey/docker/healthcheck.py"]
ENTRYPOINT ["/opt/marey/docker/entrypoint"]
CMD ["serve"]


FROM ${CUDA_IMAGE} AS gpu
# The same two for OpenCV, and what the Python copied below links against.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libgl1 libglib2.0-0t64 ca-certificates libffi8 libreadline8t64 libsqlite3-0 libssl3t64 tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/ /usr/local/bin/
COPY --from=build /usr/local/lib/ /usr/local/lib/
COPY --from=build /opt/marey /opt/marey
RUN ldconfig && sh /opt/marey/docker/prepare
ENV PATH=/opt/marey/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CUDA_CACHE_PATH=/tmp/cuda-cache \
    MAREY_PORT=8000 \
    MAREY_PROVIDER=cuda \
    MAREY_CACHE=/var/lib/marey/weights \
    MAREY_MODEL_FOLDERS=/var/lib/marey/bundles \
    MAREY_JOBS_FOLDER=/var/lib/marey/jobs \
    MAREY_LOG_JSON=true
USER marey
RUN marey doctor
EXPOSE 8000
VOLUME /var/lib/marey
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "/opt/marey/docker/healthcheck.py"]
ENTRYPOINT ["/opt/marey/docker/entrypoint"]
CMD ["serve"]
