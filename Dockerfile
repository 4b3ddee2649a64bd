# Outrigger's image: a static binary and CA roots, nothing else; no shell, no package manager.
#
#   docker build -t outrigger .
#   docker build -t outrigger-testserver --target testserver .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/outrigger --push .
#
# Of the same commit and the same builder image come the same bytes, wherever it is built:
#   docker buildx build --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
#     --output type=oci,dest=outrigger.tar,rewrite-timestamp=true .
#
# There is no HEALTHCHECK: kubelet, or whoever runs it, asks /livez and /readyz of the probes port.

# What builds: any image with Cargo, a C compiler for musl, and CA roots. Name it by digest where builds must be repeatable.
ARG BUILDER=docker.io/library/rust:1.95-alpine
# What the binary is put on.
ARG BASE=scratch

FROM ${BUILDER} AS builder
# The official Alpine image has a compiler, but not the start files and headers of the C library.
RUN if command -v apk >/dev/null && [ ! -e /usr/lib/crt1.o ]; then apk add --no-cache musl-dev; fi
WORKDIR /src
COPY . .
# Cargo wants to see every member of the workspace, also those of which nothing is built here.
RUN for member in bench e2e e2e/cluster; do mkdir -p "$member/src" && : >"$member/src/lib.rs"; done

FROM builder AS build-testserver
# amd64 or arm64: set by --platform, or by hand; without either, what this machine is.
ARG TARGETARCH
# A C compiler for the target, where that is another machine than this one.
ARG TARGET_CC
ARG SOURCE_DATE_EPOCH=0
RUN .ci/build-static testserver /image

FROM builder AS build-outrigger
ARG TARGETARCH
ARG TARGET_CC
ARG SOURCE_DATE_EPOCH=0
# What --version names: the repository is not there while the image is built.
ARG COMMIT=unknown
ARG CA_ROOTS=/etc/ssl/certs/ca-certificates.crt
RUN .ci/build-static outrigger /image \
    && mkdir -p /image/etc/ssl/certs \
    && cp -L "$CA_ROOTS" /image/etc/ssl/certs/ca-certificates.crt \
    && chmod 644 /image/etc/ssl/certs/ca-certificates.crt \
    && find /image -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

# The servers of the demo and of the tests.
FROM ${BASE} AS testserver
LABEL org.opencontainers.image.title="Outrigger's test server" \
      org.opencontainers.image.description="HTTP test servers with chosen delays and faults" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build-testserver /image/ /
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/testserver"]
CMD ["--port", "8080", "--host", "0.0.0.0"]

# The last stage is what a build without --target makes.
FROM ${BASE} AS outrigger
ARG COMMIT=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Outrigger" \
      org.opencontainers.image.description="A live-configured layer-7 load balancer that runs beside your pods" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build-outrigger /image/ /
# It writes nothing and needs no right but to listen: any number and a read-only root will do.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/outrigger"]
CMD ["run", "--config", "/etc/outrigger/config/config.yaml"]
