"""A raw dataset of one session, stand-ins for the HCP pipelines, and ``ketbids`` on them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

STAGES = ('PreFreeSurfer', 'FreeSurfer', 'PostFreeSurfer', 'fMRIVolume', 'fMRISurface')
STAGES += ('ICAFIX', 'PostFix')
RUN = 'task-carit_dir-PA_run-1'
NAME = f'sub-01_ses-TP1_{RUN}'


class Study(NamedTuple):
    """A raw dataset of one session, and stand-ins for the programs."""

    bids: Path
    programs: object
    environment: dict

    def ketbids(self, out, *options, check=None, **environment):
        """Run the command; give what it said."""
        done = subprocess.run(
            [
                *(sys.executable, '-m', 'ketbids', str(self.bids), str(out), 'participant'),
                *('--preproc', 'hcp', '--skip-bids-validation', '--session-disk-gb', '0'),
                *('--mem-mb', '64000', '--nprocs', '2', *map(str, options)),
            ],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=300,
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def calls(self):
        """Give what was called: file name of the script, and its arguments."""
        log = Path(self.environment['KETBIDS_TEST_LOG'])
        lines = log.read_text().splitlines() if log.is_file() else []
        return [(Path(call['script']).name, call['argv']) for call in map(json.loads, lines)]


def with_log(study, folder):
    """Give the study with a log of its own."""
    log = {'KETBIDS_TEST_LOG': str(folder / 'calls.jsonl')}
    return study._replace(environment=study.environment | log)


def tree(folder):
    """Every file below a folder, with a hash of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob('*'))
        if path.is_file()
    }


def results(out):
    """What must be the same however often it took: all but the records and logs of the stages."""
    return {name: value for name, value in tree(out).items() if '/ketbids/' not in name}
