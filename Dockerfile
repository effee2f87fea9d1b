# syntax=docker/dockerfile:1
# Two images on one base: `service` (has no JAX) and `worker` (has no web server).

FROM python:3.11-slim AS base
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /app
RUN useradd --system --uid 10001 --no-create-home ranef

FROM base AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_DEV=1 \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml uv.lock ./

FROM build AS service-environment
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --extra service

FROM build AS worker-environment
RUN --mount=type=cache,target=/root/.cache/uv uv sync --frozen --extra worker

FROM base AS service
COPY --from=service-environment /app/.venv .venv
# A font with the characters that DejaVu Sans lacks, and matplotlib's list of fonts, made once.
ENV MPLCONFIGDIR=/var/cache/matplotlib
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends fonts-droid-fallback \
 && rm -rf /var/lib/apt/lists/* \
 && install --directory --owner=10001 /var/cache/matplotlib \
 && python -c 'import matplotlib.font_manager'
COPY model model
COPY store store
COPY service service
# The names of the other side's settings: whatever is none of either is refused.
COPY worker/__init__.py worker/settings.py worker/
ENV PORT=8000 \
    RANEF_HOST=0.0.0.0
EXPOSE 8000
USER 10001
CMD ["python", "-m", "service"]

FROM base AS worker
COPY --from=worker-environment /app/.venv .venv
COPY model model
COPY store store
COPY worker worker
COPY service/__init__.py service/settings.py service/
# A volume that is mounted here takes over this folder's owner.
RUN install --directory --owner=10001 /var/cache/xla
ENV JAX_COMPILATION_CACHE_DIR=/var/cache/xla
USER 10001
CMD ["python", "-m", "worker"]
