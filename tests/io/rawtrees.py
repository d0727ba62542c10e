"""Small raw BIDS datasets: real headers, sidecars and events, but no image data."""

import gzip
import json

import nibabel as nib
import numpy as np

#: The study's sessions.
SESSIONS = ('TP1', 'TP2', 'TP3')

#: Grids (voxels), voxel size (mm).
T1W, T1W_ZOOMS = (208, 300, 320), (0.8, 0.8, 0.8)
BOLD, BOLD_ZOOMS = (104, 90, 72), (2.0, 2.0, 2.0)
PHASEDIFF, PHASEDIFF_ZOOMS = (104, 104, 54), (2.0, 2.0, 2.5)

#: BIDS has the direction in which the phase encoding goes, by voxel axis.
DIRECTIONS = {'AP': 'j-', 'PA': 'j', 'LR': 'i-', 'RL': 'i'}

SPACING = 0.00058
SHIMS = [-3717, 15233, -14096, -162, 53, -99, -50, 148]


def image(path, shape, zooms, *, orientation='RAS', origin=None, codes=(1, 1), data=False):
    """Write an image: the header alone, or with data (zeros).

    `orientation` are the directions of the voxel axes; `origin` is the centre in mm; `codes` are
    qform_code and sform_code.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for axis, letter in enumerate(orientation):
        to = next(i for i, pair in enumerate(('LR', 'PA', 'IS')) if letter in pair)
        affine[to, axis] = zooms[axis] * (1 if letter in 'RAS' else -1)
    centre = affine[:3, :3] @ ((np.asarray(shape[:3]) - 1) / 2)
    affine[:3, 3] = np.asarray(origin or (0.0, 0.0, 0.0)) - centre
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_zooms(zooms)
    header.set_xyzt_units('mm', 'sec')
    header.set_qform(affine, codes[0])
    header.set_sform(affine, codes[1])
    header['vox_offset'] = 352
    content = header.binaryblock + bytes(4)
    if data:
        content += bytes(2 * int(np.prod(shape)))
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == '.gz' else content)
    return path


def sidecar(path, **content):
    """Write the sidecar of an image."""
    path = path.with_name(path.name.partition('.')[0] + '.json')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}, indent=1))
    return path


def change(path, **content):
    """Change keys of a sidecar (of the image, or itself); None takes one out."""
    path = path.with_name(path.name.partition('.')[0] + '.json')
    old = json.loads(path.read_text())
    return sidecar(path, **(old | content))


def clock(minutes):
    """A time of acquisition, some minutes after ten."""
    return f'{10 + int(minutes) // 60:02d}:{int(minutes) % 60:02d}:00.000000'


def _scanner(minutes, shims):
    return {
        'Manufacturer': 'Siemens',
        'ManufacturersModelName': 'Prisma',
        'MagneticFieldStrength': 3,
        'AcquisitionTime': clock(minutes),
        'ShimSetting': list(shims),
    }


def anatomical(path, *, minutes=0, shape=T1W, zooms=T1W_ZOOMS, orientation='RAS', **keys):
    """Write a T1w or T2w image of sagittal slices."""
    image(path, shape, zooms, orientation=orientation)
    t1w = path.name.partition('.')[0].endswith('T1w')
    content = {
        **_scanner(minutes, SHIMS),
        'MRAcquisitionType': '3D',
        'ImageOrientationText': 'Sag',
        'ImageOrientationPatientDICOM': [0, 1, 0, 0, 0, -1],
        'InPlanePhaseEncodingDirectionDICOM': 'ROW',
        'SliceThickness': zooms[0],
        'BaseResolution': 320,
        'PixelBandwidth': 220 if t1w else 744,
        'DwellTime': 7.1e-06 if t1w else 2.1e-06,
    }
    sidecar(path, **(content | keys))
    return path


def echo_planar(
    path, *, minutes=0, volumes=1, shape=BOLD, zooms=BOLD_ZOOMS, origin=None, shims=SHIMS, **keys
):
    """Write an image of echo-planar imaging (BOLD, SBRef or epi) by the direction in its name."""
    series = volumes > 1
    image(
        path,
        (*shape, volumes) if series else shape,
        (*zooms, 0.8) if series else zooms,
        orientation='LAS',
        origin=origin,
    )
    name = path.name
    direction = next((d for d in DIRECTIONS if f'_dir-{d}_' in name), 'PA')
    task = name.partition('_task-')[2].partition('_')[0]
    content = {
        **_scanner(minutes, shims),
        'TaskName': task or None,
        'PhaseEncodingDirection': DIRECTIONS[direction],
        'EffectiveEchoSpacing': SPACING,
        'TotalReadoutTime': SPACING * (shape[1] - 1),
        'ReconMatrixPE': shape[1],
        'RepetitionTime': 0.8 if task else 8.0,
        'EchoTime': 0.037 if task else 0.066,
        'MultibandAccelerationFactor': 8 if task else None,
    }
    sidecar(path, **(content | keys))
    return path


def phase_difference(folder, stem, *, minutes=0, shape=PHASEDIFF, zooms=PHASEDIFF_ZOOMS, **keys):
    """Write a gradient-echo field map: phasediff, magnitude1, magnitude2."""
    made = []
    for suffix in ('magnitude1', 'magnitude2', 'phasediff'):
        path = image(folder / f'{stem}_{suffix}.nii.gz', shape, zooms, orientation='LAS')
        echoes = {'EchoTime1': 0.00492, 'EchoTime2': 0.00738}
        if suffix != 'phasediff':
            echoes = {'EchoTime': 0.00492 if suffix.endswith('1') else 0.00738}
        sidecar(path, **(_scanner(minutes, SHIMS) | echoes | keys))
        made.append(path)
    return made


def events(path):
    """Write the events of a run."""
    rows = ['onset\tduration\ttrial_type\tresponse_time']
    for i in range(20):
        rows.append(f'{8 + 11 * i}\t0.6\t{"nogo" if i % 4 == 3 else "go"}\t{0.4}')
    path.write_text('\n'.join(rows) + '\n')
    return path


def dataset(root, participants=('01',)):
    """Write the files at the top of a dataset."""
    root.mkdir(parents=True, exist_ok=True)
    (root / 'dataset_description.json').write_text(
        json.dumps({'Name': 'raw', 'BIDSVersion': '1.9.0', 'DatasetType': 'raw'})
    )
    rows = ['participant_id\tgroup\tage\tsex', *(f'sub-{p}\tTRD\t40\tF' for p in participants)]
    (root / 'participants.tsv').write_text('\n'.join(rows) + '\n')
    return root


def session(
    root,
    participant='01',
    session='TP1',
    *,
    runs=('task-carit_dir-PA_run-1',),
    t1w=('',),
    t2w=('',),
    field_maps=('epi',),
    link='IntendedFor',
    reference=True,
    volumes=300,
    timed=True,
):
    """Write a session of the study's protocol.

    Parameters
    ----------
    runs
        Names of the BOLD runs.
    t1w, t2w
        Labels of each anatomical image, e.g. ``('run-1', 'run-2')``; empty: none.
    field_maps
        In the order of acquisition: ``epi`` (a pair of spin echoes) or ``phasediff``. With
        several, the runs are divided among them; each belongs to the runs that follow it, the
        first to the anatomical images, too.
    link
        What says which images a field map is for: ``IntendedFor`` (paths below the participant),
        ``uri`` (BIDS URIs), ``B0Field`` (B0FieldIdentifier and B0FieldSource), or None.
    reference
        Write SBRef images.
    timed
        Write AcquisitionTime.

    Returns
    -------
    Path
        The session's folder. T1w and T2w are of 10:00 and 10:08, field map k of 10:(20 + 20 k),
        the runs of each four minutes later and every six minutes.
    """
    stem = f'sub-{participant}' + (f'_ses-{session}' if session else '')
    folder = root.joinpath(*stem.split('_'))
    for kind in ('anat', 'func', *(['fmap'] if field_maps else [])):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    at = (lambda minutes: {'minutes': minutes}) if timed else (lambda _: {'AcquisitionTime': None})

    maps = max(len(field_maps), 1)
    share = [
        [run for i, run in enumerate(runs) if i * maps // len(runs) == k] for k in range(maps)
    ]

    def source(k):
        return {'B0FieldSource': f'map{k}'} if field_maps and link == 'B0Field' else {}

    intended = [[] for _ in range(maps)]
    for suffix, labels, minutes in (('T1w', t1w, 0), ('T2w', t2w, 8)):
        for label in labels:
            name = '_'.join(part for part in (stem, label, suffix) if part)
            path = folder / 'anat' / f'{name}.nii.gz'
            intended[0].append(anatomical(path, **at(minutes), **source(0)))
    for k, names in enumerate(share):
        for i, run in enumerate(names):
            path = folder / 'func' / f'{stem}_{run}_bold.nii.gz'
            options = at(24 + 20 * k + 6 * i) | source(k)
            intended[k].append(echo_planar(path, volumes=volumes, **options))
            if reference:
                path = path.with_name(f'{stem}_{run}_sbref.nii.gz')
                intended[k].append(echo_planar(path, **options))
            events(folder / 'func' / f'{stem}_{run}_events.tsv')
    for k, kind in enumerate(field_maps):
        below = root / f'sub-{participant}'
        keys = {
            'IntendedFor': {'IntendedFor': [str(p.relative_to(below)) for p in intended[k]]},
            'uri': {'IntendedFor': [f'bids::{p.relative_to(root)}' for p in intended[k]]},
            'B0Field': {'B0FieldIdentifier': f'map{k}'},
            None: {},
        }[link]
        number = f'_run-{k + 1}' if len(field_maps) > 1 else ''
        if kind == 'epi':
            for i, direction in enumerate(('AP', 'PA')):
                path = folder / 'fmap' / f'{stem}_dir-{direction}{number}_epi.nii.gz'
                echo_planar(path, volumes=3, **at(20 + 20 * k + i), **keys)
        else:
            phase_difference(folder / 'fmap', f'{stem}{number}', **at(20 + 20 * k), **keys)
    return folder


def study(root, participants=('01',), sessions=SESSIONS, **options):
    """Write a dataset whose sessions are alike; ``sessions=('',)``: a dataset without sessions."""
    dataset(root, participants)
    for participant in participants:
        for label in sessions:
            session(root, participant, label, **options)
    return root


#: The cases of which the command lines are kept, by what they are about; options of `study`.
CASES = {
    'protocol': {},
    'two_runs': {'runs': ('task-carit_dir-AP_run-1', 'task-carit_dir-PA_run-2')},
    'no_t2w': {'t2w': ()},
    'several_maps': {
        'runs': ('task-carit_dir-PA_run-1', 'task-carit_dir-PA_run-2'),
        'field_maps': ('epi', 'epi'),
    },
    'no_map': {'field_maps': ()},
    'gradients': {'sessions': ('TP1',)},
    'single_session': {'sessions': ('',)},
}
