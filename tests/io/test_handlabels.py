import pytest

from ketbids.errors import InputError
from ketbids.io.handlabels import assert_no_labels, labels_matter, read_classes, read_hand_labels


@pytest.fixture
def ica(tmp_path):
    folder = tmp_path / 'ICAFIX_ALL' / 'ICAFIX_ALL_hp0.ica'
    folder.mkdir(parents=True)
    (folder / 'Signal.txt').write_text('1 4\n')
    (folder / 'Noise.txt').write_text('2\n3\n5\n')
    for kind in ('Signal', 'Noise'):
        (folder / f'ReclassifyAs{kind}.txt').touch()
        link = folder.parent / f'ReclassifyAs{kind}.txt'
        link.symlink_to(f'{folder.name}/ReclassifyAs{kind}.txt')
    return folder


def _label(folder, kind, text):
    (folder / f'ReclassifyAs{kind}.txt').write_text(text)


def test_empty_files_are_no_labels(ica):
    labels = read_hand_labels(ica)
    assert not labels
    assert (labels.signal, labels.noise, labels.notes) == ((), (), ())
    assert not labels_matter(ica)


def test_labels_and_what_changes_nothing(ica):
    _label(ica, 'Signal', '5 3\n4 3')
    _label(ica, 'Noise', '1\n')
    labels = read_hand_labels(ica)
    assert labels
    assert (labels.signal, labels.noise) == ((3, 4, 5), (1,))
    assert labels.signal_file == ica / 'ReclassifyAsSignal.txt'
    assert labels.notes == (f'{labels.signal_file}: component 4: signal by FIX already.',)
    assert labels_matter(ica)


def test_withdrawn_labels_matter(ica):
    (ica / 'HandNoise.txt').write_text('2 3 5\n')
    assert labels_matter(ica)
    assert not read_hand_labels(ica)


@pytest.mark.parametrize(
    'word', ['1,2', '1-3', '[1', '010', '0', 'x', 'a[$(id)]', '#', '1.0', '٣']
)
def test_anything_but_numbers_is_refused(ica, word):
    _label(ica, 'Noise', f'1 {word}')
    with pytest.raises(InputError, match='is not the number of a component'):
        labels_matter(ica)


def test_impossible_labels_are_refused(ica):
    _label(ica, 'Noise', '6 7')
    with pytest.raises(InputError, match='components 6, 7 cannot be: FIX found 5'):
        read_hand_labels(ica)
    _label(ica, 'Noise', '1 2')
    _label(ica, 'Signal', '2')
    with pytest.raises(InputError, match=r'ReclassifyAsNoise\.txt both name component 2:'):
        read_hand_labels(ica)


def test_files_above_count_as_older_releases_wrote_them(ica):
    above = ica.parent / 'ReclassifyAsNoise.txt'
    above.unlink()
    above.write_text('4')
    assert read_hand_labels(ica).noise_file == above
    _label(ica, 'Noise', '1')
    with pytest.raises(InputError, match='differ: keep the one that holds'):
        read_hand_labels(ica)


def test_classes_of_fix_must_be_whole(ica):
    assert read_classes(ica) == {'signal': {1, 4}, 'noise': {2, 3, 5}}
    (ica / 'Noise.txt').write_text('2 3 4 5')
    with pytest.raises(InputError, match='do not name each component once'):
        read_classes(ica)
    (ica / 'Noise.txt').unlink()
    with pytest.raises(InputError, match=r'Noise\.txt is missing: labels by hand'):
        read_classes(ica)


def test_labels_are_not_removed(ica):
    assert_no_labels([ica.parent, ica.parent / 'missing'], 'ICAFIX of sub-01')
    _label(ica, 'Signal', '2\n')
    with pytest.raises(InputError) as info:
        assert_no_labels([ica.parent], 'ICAFIX of sub-01')
    assert str(ica / 'ReclassifyAsSignal.txt') in str(info.value)
    assert 'ReclassifyAsNoise' not in str(info.value)
    assert str(info.value).startswith('ICAFIX of sub-01 has to be done again')
