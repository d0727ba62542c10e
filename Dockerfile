# docker build --target core -t ketbids:core .
#
# ketbids in a venv of its own, and Connectome Workbench for smoothing. The image can be read-only,
# runs as any user, writes nothing outside of OUTPUT_DIR, the work directory and /tmp, and needs
# no network at run time.

FROM debian:12-slim AS build
# Debian's own packages are as old as the release: no version is pinned, so that fixes come in.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/ketbids
WORKDIR /src
COPY pyproject.toml setup.cfg constraints.txt README.md LICENSE ./
COPY ketbids ketbids
RUN /opt/ketbids/bin/python -m pip install --no-cache-dir -c constraints.txt '.[validator]'

FROM debian:12-slim AS core
LABEL org.opencontainers.image.title="ketbids" \
      org.opencontainers.image.description="Longitudinal clinical task fMRI on grayordinates" \
      org.opencontainers.image.licenses="Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends connectome-workbench python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/ketbids /opt/ketbids
# ketbids itself keeps its libraries from writing under HOME and from asking the network.
ENV PATH=/opt/ketbids/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONNOUSERSITE=1 \
    MPLBACKEND=Agg
RUN /opt/ketbids/bin/ketbids --version && wb_command -version
ENTRYPOINT ["/opt/ketbids/bin/ketbids"]
