# Builds the one binary and puts it, alone, into a small image that runs as nobody.
#   docker build -t hailgate --build-arg GIT_COMMIT=$(git rev-parse --short=12 HEAD) .
#   docker run -p 8080:8080 -v hailgate:/data -e HAILGATE_JWT_SECRET -e HAILGATE_SESSION_KEY -e HAILGATE_PUBLIC_URL hailgate

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /hailgate

# Dependencies first: they change seldom, and this layer is kept while they do not.
COPY Cargo.toml Cargo.lock ./
COPY src/build.rs src/build.rs
RUN mkdir -p tests/gateway tests/browser tests/delivery tests/faults tests/benches/admission tests/benches/revoke \
    && echo 'fn main() {}' | tee src/main.rs tests/gateway/main.rs tests/browser/main.rs tests/delivery/main.rs \
        tests/faults/main.rs tests/tidy.rs \
        tests/benches/admission/main.rs tests/benches/revoke/main.rs > src/lib.rs \
    && cargo build --release --locked && rm -rf src

COPY src src
COPY static static
ARG GIT_COMMIT=unknown
ENV HAILGATE_GIT_COMMIT=$GIT_COMMIT
RUN touch src/main.rs src/lib.rs && cargo build --release --locked && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /hailgate/target/release/hailgate /hailgate
COPY --from=build --chown=nonroot:nonroot /data /data
# Open to the container's network; PORT replaces the port. ENVIRONMENT is not set: that means production.
ENV HAILGATE_BIND=0.0.0.0:8080 HAILGATE_DATABASE_URL=sqlite:///data/hailgate.db
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["/hailgate"]
CMD ["serve"]
