"""Links into the study folder: what they replace, and how they go."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from ketbids.io.files import write_json, write_text
from ketbids.io.published import place_link, published, unpublish

SESSION = 'sub-01_ses-TP1'


@pytest.fixture
def out(tmp_path):
    write_text(tmp_path / 'out' / 'sourcedata' / 'hcp' / SESSION / 'a.gii', 'one')
    write_text(tmp_path / 'out' / 'sourcedata' / 'hcp' / SESSION / 'b.gii', 'two')
    return tmp_path / 'out'


def source(out, name='a.gii'):
    return out / 'sourcedata' / 'hcp' / SESSION / name


def target(out, name='white.surf.gii', kind='anat'):
    return out / 'sub-01' / 'ses-TP1' / kind / f'{SESSION}_{name}'


def test_a_link_is_relative_and_outlives_a_move(out, tmp_path):
    assert place_link(target(out), source(out)) == 'link'
    link = target(out).readlink()
    assert link == Path('../../../sourcedata/hcp', SESSION, 'a.gii')
    moved = out.rename(tmp_path / 'elsewhere')
    assert target(moved).read_text() == 'one'


def test_a_link_is_replaced_also_one_that_leads_nowhere(out):
    place_link(target(out), source(out))
    assert place_link(target(out), source(out, 'b.gii')) == 'link'
    assert target(out).read_text() == 'two'
    source(out, 'b.gii').unlink()
    assert place_link(target(out), source(out)) == 'link'
    assert target(out).read_text() == 'one'
    assert [path.name for path in target(out).parent.iterdir()] == [target(out).name]


def test_a_file_is_never_replaced(out):
    write_text(target(out), 'mine')
    assert place_link(target(out), source(out)) == 'kept'
    assert target(out).read_text() == 'mine'
    assert not target(out).is_symlink()


def test_a_file_that_takes_the_place_of_a_link_leaves_its_source_alone(out):
    place_link(target(out), source(out))
    write_text(target(out), 'mine')
    assert source(out).read_text() == 'one'
    assert not target(out).is_symlink()


@pytest.mark.parametrize('linked', ['out', 'sub-01', 'sourcedata'])
def test_folders_that_are_links_themselves(tmp_path, out, linked):
    (tmp_path / 'disk').mkdir()
    (out / 'sub-01').mkdir()
    folder = out if linked == 'out' else out / linked
    shutil.move(folder, tmp_path / 'disk' / 'deep')
    folder.symlink_to(tmp_path / 'disk' / 'deep')
    assert place_link(target(out), source(out)) == 'link'
    assert not os.path.isabs(target(out).readlink())
    assert target(out).read_text() == 'one'
    # Lies the study on another disk, the link goes through its name in the output folder.
    if linked == 'sourcedata':
        assert target(out).readlink() == Path('../../../sourcedata/hcp', SESSION, 'a.gii')
    assert unpublish(out, SESSION) == [target(out)]


@pytest.fixture
def no_links(monkeypatch):
    def symlink_to(self, *_):
        raise OSError(errno.EPERM, 'Operation not permitted', str(self))

    monkeypatch.setattr(Path, 'symlink_to', symlink_to)


def test_a_copy_where_there_are_no_links(out, no_links):
    assert place_link(target(out), source(out)) == 'copy'
    assert target(out).read_text() == 'one'
    write_json(target(out, 'white.json'), {'Storage': 'copy'})
    assert place_link(target(out), source(out, 'b.gii')) == 'copy'
    assert target(out).read_text() == 'two'
    # The participant level has put its own there, with a sidecar of its own.
    write_json(target(out, 'white.json'), {'Sources': []})
    assert place_link(target(out), source(out)) == 'kept'


def test_other_errors_are_errors(out, monkeypatch):
    def symlink_to(self, *_):
        raise OSError(errno.EROFS, 'Read-only file system', str(self))

    monkeypatch.setattr(Path, 'symlink_to', symlink_to)
    with pytest.raises(OSError, match='Read-only'):
        place_link(target(out), source(out))
    assert not target(out).exists()


def test_what_was_published_goes_and_nothing_else(out):
    place_link(target(out), source(out))
    write_json(target(out, 'white.json'), {'Storage': 'link'})
    place_link(target(out, 'pial.surf.gii'), source(out, 'gone.gii'))
    write_text(target(out, 'sphere.surf.gii'), 'copy')
    write_json(target(out, 'sphere.json'), {'Storage': 'copy'})
    for ending in ('timeseries.tsv', 'timeseries.json'):
        write_text(target(out, f'task-a_desc-confounds_{ending}', 'func'), '{}')
    write_text(target(out, 'task-a_desc-quality_metrics.json', 'func'), '{}')
    kept = [
        write_text(target(out, 'midthickness.surf.gii'), 'participant level'),
        write_json(target(out, 'midthickness.json'), {'Sources': ['bids::sourcedata/hcp/x']}),
        write_text(target(out, 'task-a_contrast-c_stat-t_statmap.dscalar.nii', 'func'), 'map'),
        write_text(target(out, 'task-a_desc-design_timeseries.tsv', 'func'), 'design'),
        write_text(out / 'sub-01/ses-TP10/func' / f'{SESSION}0_desc-quality_metrics.json', ''),
    ]
    foreign = target(out, 'inflated.surf.gii')
    foreign.symlink_to(kept[0])
    assert [path.name.removeprefix(f'{SESSION}_') for path in published(out, SESSION)] == [
        *('pial.surf.gii', 'sphere.surf.gii', 'white.surf.gii'),
        *('task-a_desc-confounds_timeseries.tsv', 'task-a_desc-quality_metrics.json'),
    ]
    gone = unpublish(out, SESSION)
    assert [path.name.removeprefix(f'{SESSION}_') for path in gone] == [
        *('pial.surf.gii', 'sphere.json', 'sphere.surf.gii', 'white.json', 'white.surf.gii'),
        *('task-a_desc-confounds_timeseries.json', 'task-a_desc-confounds_timeseries.tsv'),
        'task-a_desc-quality_metrics.json',
    ]
    left = {p for p in (out / 'sub-01').rglob('*') if p.is_symlink() or p.is_file()}
    assert left == {*kept, foreign}
    assert source(out).is_file()
    assert unpublish(out, SESSION) == []


def test_nothing_to_remove(tmp_path):
    assert unpublish(tmp_path, 'sub-09') == []
