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

# docker build --target full --build-arg MSM_SHA256=... -t ketbids:full .
#
# The tools of --preproc hcp on top of core. Each download is checked against a SHA-256 sum, or is
# a git commit. Building accepts the licences of FSL, FreeSurfer, MSM and the MATLAB Runtime. The
# user's own FreeSurfer licence is not in the image: mount it and set FS_LICENSE.

FROM debian:12-slim AS fetch
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl git unzip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /fetch

FROM fetch AS fsl
ARG MINIFORGE_VERSION=24.11.3-0
ARG MINIFORGE_SHA256=2e1ad2188fe69fcdd522c2b20c08c800a5c7411b775eca768318b1540ed32e53
ARG FSL_VERSION=6.0.7.17
ARG FSL_SHA256=42892113183166822d114fcda6607c2da073c561dd3b5b59589f9433b95e0ed8
# What makes the wrappers in share/fsl/bin, and the file with the version, is FSL's installer; here
# the list of packages is installed without it.
RUN curl --fail --location --retry 5 --output miniforge.sh "https://github.com/conda-forge/miniforge/releases/download/${MINIFORGE_VERSION}/Miniforge3-${MINIFORGE_VERSION}-Linux-x86_64.sh" \
    && echo "${MINIFORGE_SHA256}  miniforge.sh" > sums && sha256sum --check --strict sums \
    && curl --fail --location --retry 5 --output fsl.yml "https://fsl.fmrib.ox.ac.uk/fsldownloads/fslconda/releases/fsl-${FSL_VERSION}_linux-64.yml" \
    && echo "${FSL_SHA256}  fsl.yml" > sums && sha256sum --check --strict sums \
    && bash miniforge.sh -b -p /opt/conda \
    && FSLDIR=/opt/fsl FSL_CREATE_WRAPPER_SCRIPTS=1 \
       /opt/conda/bin/conda env create --yes --prefix /opt/fsl --file fsl.yml \
    && echo "${FSL_VERSION}" > /opt/fsl/etc/fslversion \
    && test -x /opt/fsl/share/fsl/bin/fslmaths \
    && test -x /opt/fsl/bin/fix \
    && test -x /opt/fsl/bin/convert_fix_model \
    && rm -rf /fetch/* /opt/conda

FROM fetch AS freesurfer
ARG FREESURFER_VERSION=6.0.1
ARG FREESURFER_SHA256=e565feed07a3d616b484ed445fc51937630467e950c3676994f0e4d6177bde07
RUN curl --fail --location --retry 5 --output freesurfer.tar.gz "https://surfer.nmr.mgh.harvard.edu/pub/dist/freesurfer/${FREESURFER_VERSION}/freesurfer-Linux-centos6_x86_64-stable-pub-v${FREESURFER_VERSION}.tar.gz" \
    && echo "${FREESURFER_SHA256}  freesurfer.tar.gz" > sums && sha256sum --check --strict sums \
    && tar --extract --gzip --no-same-owner --directory /opt --file freesurfer.tar.gz \
       --exclude=freesurfer/trctrain \
       --exclude=freesurfer/lib/cuda \
       --exclude=freesurfer/lib/qt \
       --exclude=freesurfer/subjects/bert \
       --exclude=freesurfer/subjects/cvs_avg35 \
       --exclude=freesurfer/subjects/cvs_avg35_inMNI152 \
       --exclude=freesurfer/average/mult-comp-cor \
    && rm -rf /fetch/*

FROM fetch AS matlab
# Libraries of the X Window System, without which its installer does not start, silent or not.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libx11-6 libxext6 libxmu6 libxt6 \
    && rm -rf /var/lib/apt/lists/*
ARG RUNTIME_UPDATE=10
ARG RUNTIME_SHA256=5bcee3f2be7a4ccb6ed0b7d8938eca7b33e4a0d81ec5351d6eb06150a89245eb
RUN curl --fail --location --retry 5 --output runtime.zip "https://ssd.mathworks.com/supportfiles/downloads/R2022b/Release/${RUNTIME_UPDATE}/deployment_files/installer/complete/glnxa64/MATLAB_Runtime_R2022b_Update_${RUNTIME_UPDATE}_glnxa64.zip" \
    && echo "${RUNTIME_SHA256}  runtime.zip" > sums && sha256sum --check --strict sums \
    && unzip -q runtime.zip -d runtime \
    && runtime/install -mode silent -agreeToLicense yes -destinationFolder /opt/mcr \
    && test -d /opt/mcr/R2022b/runtime/glnxa64 \
    && rm -rf /fetch/*

FROM fetch AS msm
ARG MSM_VERSION=v3.0FSL
# Its sum is published nowhere, so that whoever builds has to say which file is trusted.
ARG MSM_SHA256
RUN test -n "${MSM_SHA256}" || { echo "Give the SHA-256 sum of msm_ubuntu_v3 (github.com/ecr05/MSM_HOCR, release ${MSM_VERSION}) as --build-arg MSM_SHA256=..." >&2; exit 1; }
RUN mkdir /opt/msm \
    && curl --fail --location --retry 5 --output /opt/msm/msm "https://github.com/ecr05/MSM_HOCR/releases/download/${MSM_VERSION}/msm_ubuntu_v3" \
    && echo "${MSM_SHA256}  /opt/msm/msm" > sums && sha256sum --check --strict sums \
    && chmod 755 /opt/msm/msm

FROM fetch AS pipelines
# Release 5.0.0; release 1.2.3.
ARG HCPPIPELINES_COMMIT=b97bfeafc20acdbac3b26c2d04e19b031b525c35
ARG GRADUNWARP_COMMIT=6603919642fd671df31251451e2164d6d287e945
RUN git init --quiet /opt/HCPpipelines \
    && git -C /opt/HCPpipelines fetch --quiet --depth 1 https://github.com/Washington-University/HCPpipelines.git "${HCPPIPELINES_COMMIT}" \
    && git -C /opt/HCPpipelines checkout --quiet "${HCPPIPELINES_COMMIT}" \
    && git init --quiet /opt/src/gradunwarp \
    && git -C /opt/src/gradunwarp fetch --quiet --depth 1 https://github.com/Washington-University/gradunwarp.git "${GRADUNWARP_COMMIT}" \
    && git -C /opt/src/gradunwarp checkout --quiet "${GRADUNWARP_COMMIT}" \
    && rm -rf /opt/HCPpipelines/.git /opt/src/gradunwarp/.git
# Release 5.0.0 lacks a blank in one line, so that bash cannot read this script and field maps of
# gradient echoes do not work. That line only is changed; with another commit this stops.
RUN script=/opt/HCPpipelines/global/scripts/FieldMapPreprocessingAll.sh \
    && test "$(grep --line-number --only-matching --fixed-strings '*@*]]' "${script}")" = '170:*@*]]' \
    && sed --in-place '170s/\*@\*]]$/*@* ]]/' "${script}" \
    && test "$(grep --line-number --only-matching --fixed-strings '*@* ]]' "${script}")" = '170:*@* ]]' \
    && bash -n "${script}"

FROM core AS full
LABEL org.opencontainers.image.description="Longitudinal clinical task fMRI from raw BIDS, with the HCP pipelines" \
      org.opencontainers.image.licenses="Apache-2.0 AND LicenseRef-FSL AND LicenseRef-FreeSurfer AND LicenseRef-MSM AND LicenseRef-MATLAB-Runtime"
# FreeSurfer 6 was built on CentOS 6. That it needs libgomp1, libxmu6 and libxt6 is known;
# libcrypt1, libice6, libjpeg62-turbo, libpng16-16, libquadmath0, libsm6, libxft2, libxi6,
# libxrender1 and libxss1 are guessed. The last step finds what is still missing.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
       bc dc file libcrypt1 libexpat1 libgfortran5 libgl1 libglu1-mesa libgomp1 libice6 \
       libjpeg62-turbo libopenblas0 libpng16-16 libquadmath0 libsm6 libx11-6 libxext6 libxft2 \
       libxi6 libxmu6 libxrender1 libxss1 libxt6 ncurses-bin perl procps \
       python3-nibabel python3-numpy python3-pip python3-scipy python3-setuptools python3-venv \
       python3-wheel tcsh time \
    && rm -rf /var/lib/apt/lists/*
# PostFreeSurfer of pipelines after 5.0.0, which may be mounted, calls python3: that of ketbids.
COPY --from=build /src/constraints.txt /opt/src/constraints.txt
RUN /opt/ketbids/bin/python -m pip install --no-cache-dir -c /opt/src/constraints.txt psutil threadpoolctl
COPY --from=fsl /opt/fsl /opt/fsl
COPY --from=freesurfer /opt/freesurfer /opt/freesurfer
COPY --from=matlab /opt/mcr /opt/mcr
COPY --from=msm /opt/msm /opt/msm
COPY --from=pipelines /opt/HCPpipelines /opt/HCPpipelines
COPY --from=pipelines /opt/src/gradunwarp /opt/src/gradunwarp
RUN /usr/bin/python3 -m venv --system-site-packages /opt/gradunwarp \
    && /opt/gradunwarp/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation --no-index /opt/src/gradunwarp \
    && ln -s /opt/gradunwarp/bin/gradient_unwarp.py /usr/local/bin/gradient_unwarp.py \
    && rm -rf /opt/src
# The MATLAB Runtime unpacks its programs where anybody may write.
ENV HCPPIPEDIR=/opt/HCPpipelines \
    FSLDIR=/opt/fsl \
    FSL_DIR=/opt/fsl \
    FSLOUTPUTTYPE=NIFTI_GZ \
    FREESURFER_HOME=/opt/freesurfer \
    CARET7DIR=/usr/bin \
    MSMBINDIR=/opt/msm \
    MSMCONFIGDIR=/opt/HCPpipelines/MSMConfig \
    HCPCIFTIRWDIR=/opt/HCPpipelines/global/matlab/cifti-matlab \
    MATLAB_COMPILER_RUNTIME=/opt/mcr/R2022b \
    MCR_CACHE_ROOT=/tmp
RUN /opt/HCPpipelines/show_version --short \
    && /opt/fsl/bin/fslpython --version \
    && gradient_unwarp.py --help > /dev/null
# Without licence and data the programs cannot run: what can be seen is that all libraries are
# there of those that the pipelines and recon-all call. Of scripts ldd says nothing. Those of Tcl,
# of which FreeSurfer brings its own, are set by a script that stands before tkregister2.
RUN set -- /opt/msm/msm /usr/bin/wb_command \
    && for name in \
         bbregister mri_add_xform_to_header mri_aparc2aseg mri_binarize mri_ca_label \
         mri_ca_normalize mri_ca_register mri_cc mri_concatenate_lta mri_convert mri_diff \
         mri_edit_wm_with_aseg mri_em_register mri_fill mri_info mri_label2label mri_mask \
         mri_normalize mri_nu_correct.mni mri_pretess mri_remove_neck mri_robust_register \
         mri_segment mri_segstats mri_surf2surf mri_tessellate mri_vol2vol mri_watershed \
         mris_anatomical_stats mris_ca_label mris_calc mris_convert mris_curvature \
         mris_curvature_stats mris_euler_number mris_extract_main_component \
         mris_fix_topology mris_inflate mris_jacobian mris_make_surfaces mris_register \
         mris_remove_intersection mris_smooth mris_sphere mris_volmask mrisp_paint \
         recon-all talairach_avi tkregister2_cmdl; do \
         set -- "$@" "/opt/freesurfer/bin/${name}"; \
       done \
    && for program in "$@" /opt/freesurfer/bin/tkregister; do \
         test -x "${program}" || { echo "${program} is missing" >&2; exit 1; }; \
       done \
    && { for program in "$@" /opt/freesurfer/mni/bin/nu_* /opt/freesurfer/mni/bin/sharpen_*; do \
           echo "${program}:"; ldd "${program}" 2>&1 || true; \
         done; \
         for program in tkregister tkregister2 tkregister2.bin; do \
           echo "${program}:"; \
           LD_LIBRARY_PATH=/opt/freesurfer/lib/tcltktixblt/lib \
             ldd "/opt/freesurfer/bin/${program}" 2>&1 || true; \
         done; \
       } > /tmp/linked \
    && if grep 'not found' /tmp/linked >&2; then cat /tmp/linked >&2; exit 1; fi \
    && rm /tmp/linked

# Without --target, core is built.
FROM core AS default
