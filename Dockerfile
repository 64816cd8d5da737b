# The monitor in a container, for hooks and viewers of other machines.
#
#   docker build -t claude-mpm-monitor .
#   docker run -p 8765:8765 -v claude-mpm:/data claude-mpm-monitor
#
# It listens beyond loopback there, so everybody needs the access token: the log of the container shows the link to
# log in with, and /data/monitor/token holds the secret.

FROM node:22-bookworm-slim AS dashboard
WORKDIR /build/ui
COPY ui/package.json ui/package-lock.json ui/.npmrc* ./
RUN npm ci --no-audit --no-fund
COPY ui ./
RUN npm run --silent build

FROM rust:1.95-slim-bookworm AS programs
WORKDIR /build
COPY . .
COPY --from=dashboard /build/ui/dist ui/dist
RUN cargo build --locked --release -p cli -p hook \
  && install -d -m 0700 /data \
  && install -D -t /programs target/release/claude-mpm-monitor target/release/claude-mpm-hook

# libc and nothing else: no shell, no package manager, a user without rights.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=programs /programs/ /usr/local/bin/
COPY --from=programs --chown=65532:65532 /data /data
ENV CLAUDE_MPM_HOME=/data \
    CLAUDE_MPM_MONITOR_PROFILE=docker \
    CLAUDE_MPM_SOCKETIO_HOST=0.0.0.0
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/claude-mpm-monitor", "health"]
ENTRYPOINT ["/usr/local/bin/claude-mpm-monitor"]
CMD ["start", "--foreground"]
