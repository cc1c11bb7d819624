# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS chef
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
RUN cargo install cargo-chef --locked --version 0.1.73
WORKDIR /src

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
COPY --from=planner /src/recipe.json .
RUN cargo chef cook --release --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bin pipewright && mkdir /data
# The embedding model that runs in the process (docs/rag.md).
RUN PIPELINES_DIR=/model target/release/pipewright models fetch

# glibc, CA certificates and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="pipewright" \
      org.opencontainers.image.description="The Open WebUI Pipelines host written in Rust, with Amazon Bedrock on board" \
      org.opencontainers.image.licenses="MIT"
COPY --from=builder /src/target/release/pipewright /usr/local/bin/pipewright
# Any user of group 0 may write here, so an arbitrary user id will do.
COPY --from=builder --chown=65532:0 --chmod=0775 /data /app/pipelines
COPY --from=builder /model/models /app/models
WORKDIR /app
# Whoever starts it sets PIPELINES_API_KEY: the default key does not open a host that listens beyond loopback.
ENV HOST=0.0.0.0 \
    PIPELINES_DIR=/app/pipelines \
    RAG_MODEL_FOLDER=/app/models/all-MiniLM-L6-v2-int8
# The same image is a Lambda function (docs/lambda.md). Elsewhere this port takes invocations, as in AWS's own images.
ENV INVOKE_PORT=8080
EXPOSE 9099 8080
VOLUME /app/pipelines
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/usr/local/bin/pipewright", "health"]
ENTRYPOINT ["/usr/local/bin/pipewright"]
