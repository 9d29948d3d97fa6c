# segnet in a container; BUILD.md, "Container", has the commands.
#
# DEVICE   cpu, gpu (with the CUDA libraries) or hpu (Intel Gaudi)
# BASE     image to begin from; of a Gaudi one with Python 3.10 and SynapseAI 1.14
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
ARG DEVICE=cpu

# What is pinned, by the script and the hashes of `make setup`: a layer that
# stays while the code changes.
ENV VENV=/opt/venv
WORKDIR /opt/segnet
COPY requirements.txt ./
COPY requirements requirements
COPY tools/setup_env.sh tools/
RUN tools/setup_env.sh "${DEVICE}"

# segnet itself, and nothing besides.
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY configs configs
COPY segnet segnet
RUN "${VENV}/bin/python" -m pip install --no-cache-dir --no-deps --no-index --no-build-isolation .

ENV PATH=/opt/venv/bin:${PATH}
WORKDIR /work
ENTRYPOINT ["segnet"]
CMD ["--help"]
