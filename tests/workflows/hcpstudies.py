"""Sessions of raw data and workflows of them, for tests of the preprocessing."""

from dataclasses import dataclass
from pathlib import Path

from ketbids.io.hcpinputs import HcpSession
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from ketbids.settings import Settings
from ketbids.workflows.session import init_preprocessing_wf
from tests.io import rawtrees
from tests.workflows.studies import settings


@dataclass(frozen=True)
class RawStudy:
    """A raw dataset, what was found in it, and what is to be done with it."""

    root: Path
    settings: Settings
    sessions: list[HcpSession]
    environ: dict[str, str]

    def workflow(self):
        return init_preprocessing_wf(
            self.settings, self.sessions, environ=self.environ, matlab_mode=0
        )

    @property
    def folder(self):
        """Folder of the first session in the study folder."""
        return self.settings.paths.output_dir / 'sourcedata' / 'hcp' / self.sessions[0].name


def raw_study(root, options, *, environ=(), **hcp):
    """Write a dataset (options of `rawtrees.study`) and find its sessions."""
    rawtrees.study(root / 'bids', **options)
    hcp.setdefault('hcp_dir', root / 'HCPpipelines')
    made = settings(root, hcp=hcp)
    found, problems = find_hcp_sessions(
        made.paths.bids_dir,
        ['01'],
        options=RawOptions(processing_mode=made.hcp.processing_mode),
    )
    assert problems == []
    return RawStudy(root, made, found, dict(environ))


def label_components(ica, *, signal='', noise='1', found=3):
    """Write labels by hand, and what they need: the classes that FIX gave to components."""
    ica.mkdir(parents=True, exist_ok=True)
    if not (ica / 'Signal.txt').exists():
        (ica / 'Signal.txt').write_text(' '.join(map(str, range(1, found))))
        (ica / 'Noise.txt').write_text(str(found))
    (ica / 'ReclassifyAsSignal.txt').write_text(signal)
    (ica / 'ReclassifyAsNoise.txt').write_text(noise)
