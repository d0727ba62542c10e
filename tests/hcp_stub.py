"""Stands in for every script of the HCP pipelines; see `tests.hcp_programs`.

Started as ``python hcp_stub.py FOLDER SCRIPT ARGUMENT...``; needs the standard library only.
"""

import gzip
import json
import os
import re
import shutil
import signal
import struct
import sys
import time
import zlib
from pathlib import Path

# Started without the paths of packages; nothing but the standard library is imported.
sys.path.append(str(Path(__file__).parents[1]))

from tests.hcp_options import SCRIPTS, RefusedError, parse
from tests.hcp_stages import COMPONENTS, NOISE, Stage

#: What programs say when they fail: where (standard output, or a log of their own), and which.
FAILURES = {
    'licence': (
        'recon-all.log',
        'ERROR: FreeSurfer license file /opt/freesurfer/license.txt not found.',
    ),
    'disk': ('', 'gzip: write error: No space left on device'),
    'memory': ('', "terminate called after throwing an instance of 'std::bad_alloc'"),
    'generic': ('', 'ERROR: Image Exception : #22 :: ERROR: Could not open image'),
}
#: Logs that the programs of a stage keep themselves.
INNER = {'FreeSurfer': 'scripts/recon-all.log', 'ICAFIX': 'pyfix.log'}
SHAPE = (6, 7, 5)
RUNTIME_STAGES = ('ICAFIX', 'PostFix', 'ReApplyFix', 'MSMAll', 'DeDriftAndResample')
BUILT_IN = (
    *('HCP25_hp2000', 'HCP7T_hp2000', 'HCP_Style_Single_Multirun_Dedrift', 'Standard'),
    *('NHP_HCP_Macaque', 'NHP_HCP_MacaqueCyno', 'UKBiobank', 'WhII_MB6', 'WhII_Standard'),
)


def say(text):
    """Write a line to standard output, at once."""
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


def setting(folder, name):
    """Read how to behave: from the environment, or else from a file of the test."""
    kept = folder / 'behaviour' / name
    return os.environ.get(name) or (kept.read_text() if kept.exists() else '')


def record(folder, script, argv):
    """Append the call to the log; give the number of calls of its stage so far."""
    stage = SCRIPTS[script][0]
    names = ('HCPPIPEDIR', 'FSLDIR', 'FSL_DIR', 'FREESURFER_HOME', 'FS_LICENSE', 'CARET7DIR')
    line = {
        'script': script,
        'stage': stage,
        'argv': argv,
        'cwd': str(Path.cwd()),
        'variables': {name: os.environ.get(name, '') for name in names},
    }
    log = Path(setting(folder, 'KETBIDS_TEST_LOG') or folder / 'calls.jsonl')
    with log.open('ab') as file:
        file.write(json.dumps(line).encode() + b'\n')
    return sum(1 for text in log.read_text().splitlines() if json.loads(text)['stage'] == stage)


def nifti_header(path):
    """Read shape and voxel sizes; the repetition time in seconds."""
    opened = gzip.open if path.name.endswith('.gz') else open
    with opened(path, 'rb') as file:
        start = file.read(348)
    order = '<' if struct.unpack('<i', start[:4])[0] == 348 else '>'
    dims = struct.unpack(order + '8h', start[40:56])
    zooms = struct.unpack(order + '8f', start[76:108])
    scale = 1e-3 if start[123] & 56 == 16 else 1.0
    return dims[1 : dims[0] + 1], (*zooms[1:4], zooms[4] * scale)


def nifti(shape, zooms, data):
    """Make a NIfTI-1 file of int16."""
    n, header = len(shape), bytearray(352)
    struct.pack_into('<i', header, 0, 348)
    struct.pack_into('<8h', header, 40, n, *shape, *[1] * (7 - n))
    struct.pack_into('<2h', header, 70, 4, 16)
    struct.pack_into('<8f', header, 76, 1.0, *zooms, *[1.0] * (7 - len(zooms)))
    struct.pack_into('<3f', header, 108, 352.0, 1.0, 0.0)
    header[123] = 2 | 8
    struct.pack_into('<2h', header, 252, 0, 1)
    rows = [(zooms[0], 0, 0, -6), (0, zooms[1], 0, -7), (0, 0, zooms[2], -5)]
    for place, row in zip((280, 296, 312), rows, strict=True):
        struct.pack_into('<4f', header, place, *row)
    header[344:348] = b'n+1\0'
    return gzip.compress(bytes(header) + data, 1, mtime=0)


def picture():
    """Make a PNG file of one pixel."""

    def chunk(kind, data):
        checksum = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + checksum

    size = struct.pack('>IIBBBBB', 1, 1, 8, 0, 0, 0, 0)
    parts = ((b'IHDR', size), (b'IDAT', zlib.compress(b'\0\0')), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(kind, data) for kind, data in parts)


def values(n, level, spread, seed):
    """Give n numbers that look like noise around a level, the same for the same seed."""
    block = [
        level + ((i * 7919 + seed * 104729) * 2654435761 >> 7) % (2 * spread + 1) - spread
        for i in range(997)
    ]
    packed = struct.pack(f'<{len(block)}h', *block)
    return (packed * (n // len(block) + 1))[: 2 * n]


class Writer:
    """Makes the files of one call."""

    def __init__(self, folder, stage, options):
        self.prepared = folder / 'prepared'
        self.stage, self.options, self.kept = stage, options, {}
        index = json.loads((self.prepared / 'index.json').read_text())
        self.mesh = index['mesh']
        sessions = index['sessions']
        name = stage.session or next((p for p in self._parts() if p in sessions), '')
        self.source = sessions.get(name, sessions['other'])

    def _parts(self):
        return {part for path, _ in self.stage.outputs for part in path.parts}

    def _run(self, path):
        """Find the volume of the run that a file is of, for its length and repetition time."""
        if 'fmritcs' in self.options:
            return nifti_header(Path(self.options['fmritcs']))
        folder = next(p for p in path.parents if p.parent.name == 'Results')
        known = [folder / f'{folder.name}.nii.gz']
        if not known[0].exists():
            known = sorted(folder.glob('*_clean.nii.gz'))[:1]
        if not known:
            lists = ('fmri-names', 'fmri-names-list', 'multirun-fix-names-to-use')
            named = next(self.options[name] for name in lists if self.options.get(name))
            names = [Path(n.removesuffix('.nii.gz')).name for n in named.split('@') if n]
            known = [folder.parent / name / f'{name}.nii.gz' for name in names]
        shapes = [nifti_header(path) for path in known]
        return (*SHAPE, sum(shape[3] for shape, _ in shapes)), shapes[0][1]

    def _dense(self, path, kind):
        """Cut the prepared series to the length of the run, and give it the repetition time."""
        (*_, volumes), zooms = self._run(path)
        if (kind, volumes) in self.kept:
            return self.kept[kind, volumes]
        content = (self.prepared / self.source[kind]).read_bytes()
        offset = int(struct.unpack_from('<q', content, 168)[0])
        length, n = struct.unpack_from('<2q', content, 56)
        data = memoryview(content)[offset:]
        parts = []
        if volumes > length:
            # Several runs one after the other: the series again and again.
            whole, rest = divmod(volumes, length)
            rows = [data[4 * length * i : 4 * length * (i + 1)] for i in range(n)]
            parts = [bytes(row) * whole + bytes(row[: 4 * rest]) for row in rows]
        elif volumes < length:
            parts = [data[4 * length * i :][: 4 * volumes] for i in range(n)]
        else:
            parts = [data]
        start = bytearray(content[:offset])
        struct.pack_into('<q', start, 56, volumes)
        xml = bytes(start[552:]).rstrip(b'\0')
        xml = re.sub(rb'NumberOfSeriesPoints="\d+"', b'NumberOfSeriesPoints="%d"' % volumes, xml)
        xml = re.sub(rb'SeriesStep="[^"]+"', b'SeriesStep="%.7g"' % zooms[3], xml)
        xml = re.sub(rb'SeriesExponent="[^"]+"', b'SeriesExponent="0"', xml)
        size = (len(xml) + 8 + 15) // 16 * 16
        struct.pack_into('<q', start, 168, 544 + size)
        struct.pack_into('<2i', start, 544, size, 32)
        made = b''.join([bytes(start[:552]), xml.ljust(size - 8, b'\0'), *parts])
        self.kept[kind, volumes] = made
        return made

    def _lines(self, path, columns):
        """Give the prepared movement, at the length of the run."""
        n = self._run(path)[0][3]
        rows = (self.prepared / self.source['movement']).read_text().splitlines()
        kept = [rows[i % len(rows)].split() for i in range(n)]
        return ''.join('  '.join(row[:columns]) + '\n' for row in kept)

    def content(self, path, kind):
        """Make what a file of a kind holds."""
        seed = sum(path.name.encode())
        voxels = SHAPE[0] * SHAPE[1] * SHAPE[2]
        if kind in ('volume', 'again', 'components'):
            if kind == 'again':
                seed += 1
            shape = (*SHAPE, COMPONENTS) if kind == 'components' else SHAPE
            n = voxels * (COMPONENTS if kind == 'components' else 1)
            return nifti(shape, (2.0, 2.0, 2.0), values(n, 1000, 50, seed))
        if kind == 'mask':
            return nifti(SHAPE, (2.0, 2.0, 2.0), struct.pack(f'<{voxels}h', *[1] * voxels))
        if kind in ('series', 'clean series'):
            (*_, volumes), zooms = self._run(path)
            spread = 40 if kind == 'clean series' else 100
            data = values(voxels * volumes, 10000, spread, seed)
            return nifti((*SHAPE, volumes), (2.0, 2.0, 2.0, zooms[3]), data)
        if kind.startswith('surface '):
            what = 'inflated' if 'inflated' in kind else 'midthickness'
            side = path.name.removeprefix(f'{self.stage.session}.')[0]
            return (self.prepared / self.source[f'{side}.{what}']).read_bytes()
        if kind in ('metric', 'scalar', 'label'):
            return (self.prepared / self.source[kind]).read_bytes()
        if kind == 'picture':
            return picture()
        if kind in ('dense', 'clean'):
            return self._dense(path, kind)
        return self._text(path, kind).encode()

    def _text(self, path, kind):
        numbers = range(1, COMPONENTS + 1)
        classes = {n: 'Unclassified Noise' if n in NOISE else 'Signal' for n in numbers}
        names = {
            'matrix': '1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n',
            'mean': '0.08\n',
            'noise': str(list(NOISE)) + '\n',
            'noise list': ' '.join(map(str, NOISE)) + '\n',
            'signal': ' '.join(str(n) for n in numbers if n not in NOISE) + '\n',
            'shares': ''.join(f'{30 - 4 * n} {25 - 4 * n} 0 0\n' for n in numbers),
            'kept': '',
        }
        if kind == 'classes':
            rows = [f'{n}, {c}, {n in NOISE}' for n, c in classes.items()]
            return '\n'.join(['filtered_func_data.ica', *rows, str(list(NOISE))]) + '\n'
        if kind == 'movement':
            return self._lines(path, 6 if path.suffix == '.par' else 12)
        if kind == 'rms':
            return ''.join(f'{0.05 + 0.01 * (n % 7)}\n' for n in range(self._run(path)[0][3]))
        if kind == 'mixing':
            n = self._run(path)[0][3]
            return ''.join(
                '  '.join(f'{(i * k) % 17 / 8 - 1:.4f}' for k in numbers) + '\n' for i in range(n)
            )
        if kind.startswith('hand '):
            return self._hand(kind)
        if path.name.endswith(('.spec', 'scene')):
            root = 'CaretSpecFile' if path.suffix == '.spec' else 'SceneFile'
            return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n</{root}>\n'
        return names.get(kind, f'{path.name}\n')

    def _hand(self, kind):
        """Put the labels of the reviewer into the classes of FIX."""
        found = {
            name: {int(n) for n in Path(path).read_text().split()}
            for name, path in self.stage.hands.items()
        }
        if found['signal'] & found['noise']:
            raise RefusedError(1, 'ERROR: a component is in both lists')
        noise = sorted((set(NOISE) - found['signal']) | found['noise'])
        if kind == 'hand labels':
            return f'[{", ".join(map(str, noise))}]\n'
        others = [n for n in range(1, COMPONENTS + 1) if n not in noise]
        return ' '.join(map(str, noise if kind == 'hand noise' else others)) + '\n'

    def write(self, path, kind):
        """Write one file, in place, as the scripts do."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind in ('kept', 'subject') and path.exists():
            return
        if kind == 'subject':
            path.symlink_to(Path(os.environ['FREESURFER_HOME']) / 'subjects' / path.name)
            return
        if kind == 'linked':
            ica = next(p for p, k in self.stage.outputs if k == 'kept').parent
            if not path.exists():
                path.unlink(missing_ok=True)
                path.symlink_to(Path(ica.name) / path.name)
            return
        path.write_bytes(self.content(path, kind))
        if kind.startswith(('surface', 'label')) and path.parent.name == 'fsaverage_LR32k':
            # ketbids finds surfaces by the mesh of the series, which is a small one here.
            other = path.parent.with_name(f'fsaverage_LR{self.mesh}')
            other.mkdir(exist_ok=True)
            shutil.copyfile(path, other / path.name.replace('.32k_', f'.{self.mesh}_'))


def check_tools(script, options, stage):
    """Look for what the scripts look for before they start."""
    for name in ('HCPPIPEDIR', *SCRIPTS[script][1].split()):
        if not os.environ.get(name):
            raise RefusedError(1, f'ERROR: {name} environment variable must be set')
    where = os.environ.get
    if stage == 'fMRIVolume' and not shutil.which('wb_command'):
        raise RefusedError(127, 'wb_command: command not found')
    if stage == 'FreeSurfer':
        home = Path(where('FREESURFER_HOME'))
        licence = Path(where('FS_LICENSE') or home / 'license.txt')
        if not licence.is_file():
            raise RefusedError(1, FAILURES['licence'][1])
        if not (home / 'build-stamp.txt').is_file():
            raise RefusedError(1, f'ERROR: {home}/build-stamp.txt does not exist')
    mode = options.get('matlab-run-mode', '1')
    hands = script.endswith('ApplyHandReClassifications.sh')
    if stage in RUNTIME_STAGES and script != 'ICAFIX/hcp_fix' and not hands:
        if mode == '0' and not where('MATLAB_COMPILER_RUNTIME'):
            raise RefusedError(
                1, 'ERROR: MATLAB_COMPILER_RUNTIME environment variable must be set'
            )
        octave = 'octave' if stage == 'PostFix' else 'octave-cli'
        program = {'1': 'matlab', '2': octave}.get(mode)
        if program and not shutil.which(program):
            raise RefusedError(127, f'{program}: command not found')


def check_training(script, options, training):
    """Look for the training set where either kind of FIX has it."""
    old = Path(os.environ.get('FSL_FIXDIR') or '/nowhere')
    wanted = options.get('enable-legacy-fix', 'TRUE').upper() == 'TRUE'
    legacy = wanted and (old / 'fix').exists() and not (old / 'convert_fix_model').exists()
    if script == 'ICAFIX/hcp_fix' or legacy:
        name = training.removesuffix('.RData') + '.RData'
        if not (Path(name).is_file() or (old / 'training_files' / name).is_file()):
            raise RefusedError(1, f'ERROR: FIX training data not found: {name}')
        return
    if not (old / 'convert_fix_model').exists() and not os.environ.get('FSL_DIR'):
        raise RefusedError(1, 'FSL_DIR: unbound variable')
    if training.removesuffix('.RData') not in BUILT_IN and not Path(training).is_file():
        raise RefusedError(1, f'Error: could not find model {training}')


def fail(folder, stage, made):
    """Fail as told, with the words of the program in question."""
    wanted, _, kind = setting(folder, 'KETBIDS_TEST_FAIL').partition(':')
    if wanted != stage:
        return
    kind = kind or 'generic'
    where, text = FAILURES[kind]
    if where or (stage in INNER and kind == 'generic'):
        inner = next((p for p, _ in made.outputs if str(p).endswith(INNER.get(stage, '?'))), None)
        if inner is not None:
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.write_text(f'started\n{text}\n')
            raise RefusedError(1, f'ERROR: a program failed with return_code: 1, see {inner.name}')
    raise RefusedError(1, text)


def kill(mode):
    """End abruptly: this script; ketbids, too; or ketbids alone, so that this goes on."""
    if mode != 'script':
        leader = os.getpgid(os.getppid())
        try:
            started = Path(f'/proc/{leader}/environ').read_bytes()
        except OSError:
            started = b''
        # Never what runs the tests, or a shell: only what a test has started for this.
        if leader == os.getpid() or b'KETBIDS_TEST_' not in started:
            raise RefusedError(99, f'process {leader} was not started by a test as a leader')
        os.kill(leader, signal.SIGKILL)
    if mode != 'orphan':
        os.kill(os.getpid(), signal.SIGKILL)


def main(folder, script, argv):
    """Do one call."""
    stage = SCRIPTS[script][0]
    calls = record(folder, script, argv)
    options = parse(script, argv)
    check_tools(script, options, stage)
    made = Stage(script, options)
    if stage == 'ICAFIX':
        check_training(script, options, made.training)
    missing = [p for p in made.needs if not p.exists() and not Path(f'{p}.nii.gz').exists()]
    if missing:
        raise RefusedError(1, f'ERROR: {missing[0]} does not exist')
    say(f'{script}: START')
    time.sleep(float(setting(folder, 'KETBIDS_TEST_SLEEP') or 0))
    fail(folder, stage, made)
    wanted, _, rest = setting(folder, 'KETBIDS_TEST_KILL').partition(':')
    number, _, mode = rest.partition(':')
    killed = wanted in (stage, Path(script).name) and calls == int(number or 1)
    for path in made.removed:
        shutil.rmtree(path, ignore_errors=True)
    writer = Writer(folder, made, options)
    half = len(made.outputs) // 2
    for n, (path, kind) in enumerate(made.outputs):
        writer.write(path, kind)
        if killed and n == half and not path.is_symlink():
            size = path.stat().st_size
            os.truncate(path, size // 2)
            kill(mode or 'script')
            writer.write(path, kind)
    say(f'{script}: COMPLETED')


if __name__ == '__main__':
    try:
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except RefusedError as refused:
        say(f'{Path(sys.argv[2]).name}: {refused}')
        sys.exit(refused.code)
