"""Files as PALM writes them: format, type, what stands outside the mask."""

import subprocess

import nibabel as nb
import numpy as np
import pytest

from ketbids.io.cifti import read_maps
from ketbids.io.matrices import read_matrix
from ketbids.io.palminputs import read_input
from ketbids.io.palmmasks import read_mask
from ketbids.io.palmnames import PalmNames
from ketbids.io.palmoutputs import (
    map_extension,
    write_configuration,
    write_dof,
    write_elapsed,
    write_map,
    write_mask,
    write_maxima,
    write_shuffles,
)
from ketbids.io.surfaces import write_surface
from tests.io.palmfiles import AFFINE, BRAIN, GRID, INPUTS, every_input, save_gifti
from tests.stats.small_brain import LEFT

EXTENSIONS = {
    'cifti': ('.dscalar.nii', '.dscalar.nii'),
    'gifti': ('.gii', '.gii'),
    'nifti': ('.nii', '.nii.gz'),
    'csv': ('.csv', '.csv'),
}


def read_back(path):
    """Values of a map, flat, and their stored type."""
    if path.suffix == '.csv':
        return np.loadtxt(path, delimiter=','), None
    if path.name.endswith('.dscalar.nii'):
        return read_maps(path)[0][0], np.float32
    image = nb.load(path)
    if path.suffix == '.gii':
        return image.darrays[0].data, image.darrays[0].data.dtype
    return np.asarray(image.dataobj).reshape(-1), image.get_data_dtype()


@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('name', INPUTS)
def test_maps_come_back_where_they_were(tmp_path, name, double):
    source = read_input(every_input(tmp_path)[name][0])
    values = np.random.default_rng(0).normal(size=int(source.mask.sum()))
    path = write_map(str(tmp_path / 'new' / 'x.y_vox_tstat'), values, source, double=double)
    assert path.name == f'x.y_vox_tstat{EXTENSIONS[source.kind][double]}'
    assert path.name.endswith(map_extension(source.kind, double=double))
    found, dtype = read_back(path)
    expected = np.zeros(source.n_locations)
    expected[source.mask] = values
    exact = source.kind == 'nifti' and double
    assert dtype is None or np.dtype(dtype) == (np.float64 if exact else np.float32)
    tolerance = {'atol': 5.1e-5} if source.kind == 'csv' else {'rtol': 0 if exact else 1e-7}
    np.testing.assert_allclose(found, expected, **tolerance)
    assert list((tmp_path / 'new').iterdir()) == [path]


@pytest.mark.parametrize('name', INPUTS)
def test_the_same_map_is_the_same_bytes(tmp_path, name):
    source = read_input(every_input(tmp_path)[name][0])
    values = np.linspace(0, 1, int(source.mask.sum()))
    first, second = (
        write_map(str(tmp_path / folder / 'x'), values, source, double=True) for folder in 'ab'
    )
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('name', ['nifti', 'nifti2', 'surface'])
def test_volumes_keep_their_place(tmp_path, name, double):
    source = read_input(every_input(tmp_path)[name][0])
    image = nb.load(write_map(str(tmp_path / 'x'), source.data[0], source, double=double))
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.shape == (*source.grid, 1) if double else source.grid
    assert isinstance(image, nb.Nifti2Image) == (name == 'nifti2')
    assert image.header['cal_max'] == np.float32(source.whole(source.data[0]).max())
    again = read_mask(write_mask(str(tmp_path / 'mask'), source, double=double))
    np.testing.assert_array_equal(again.inside, source.mask)


@pytest.mark.parametrize('double', [False, True])
def test_a_header_of_another_machine(tmp_path, double):
    """Big-endian, scaled integers, placed by its quaternion, and with an extension."""
    header = nb.Nifti1Header(endianness='>')
    header.set_data_dtype('>i2')
    header.set_data_shape((*GRID, 3))
    header.set_qform(AFFINE, 1)
    header.extensions.append(nb.nifti1.Nifti1Extension('comment', b'of four dimensions'))
    data = np.random.default_rng(0).integers(-99, 99, (*GRID, 3)).astype('>i2')
    image = nb.Nifti1Image(data, None, header)
    image.header.set_slope_inter(0.5, 3)
    nb.save(image, tmp_path / 'a.nii')
    stored = nb.load(tmp_path / 'a.nii')
    assert stored.header.endianness == '>'
    source = read_input(tmp_path / 'a.nii')
    expected = np.asarray(stored.dataobj)[..., 1].reshape(-1)
    np.testing.assert_array_equal(source.whole(source.data[1]), expected)
    written = nb.load(write_map(str(tmp_path / 'x'), source.data[1], source, double=double))
    np.testing.assert_array_equal(np.asarray(written.dataobj).reshape(-1), expected)
    np.testing.assert_allclose(written.affine, AFFINE, atol=1e-6)
    assert not written.header.extensions


@pytest.mark.parametrize('name', ['dscalar', 'dtseries'])
def test_grayordinates_keep_their_models_and_the_map_its_name(tmp_path, name):
    source = read_input(every_input(tmp_path)[name][0])
    path = write_map(str(tmp_path / 'x_dat_tstat_c1'), source.data[0], source, double=False)
    assert read_maps(path)[1].same_as(BRAIN.models)
    assert nb.load(path).header.get_axis(0).name.tolist() == ['x_dat_tstat_c1']


def test_wb_command_opens_what_is_written(tmp_path, wb_command):
    """Unlike PALM's own GIFTI files, which name no structure."""
    mesh = BRAIN.surfaces[LEFT]
    n = len(mesh.coordinates)
    data = np.random.default_rng(0).normal(size=(4, n)).astype(np.float32)
    source = read_input(save_gifti(tmp_path / 'a.func.gii', data))
    metric = write_map(str(tmp_path / 'x_dpv_tstat'), data[0], source, double=False)
    surface = write_surface(tmp_path / 'l.surf.gii', mesh, LEFT)

    def run(*arguments):
        return subprocess.run(
            [wb_command, *map(str, arguments)], check=True, capture_output=True, text=True
        ).stdout

    assert float(run('-metric-stats', metric, '-reduce', 'MAX')) == pytest.approx(data[0].max())
    run('-metric-vector-toward-roi', surface, metric, tmp_path / 'v.func.gii')
    run('-cifti-create-dense-scalar', tmp_path / 'c.dscalar.nii', '-left-metric', metric)
    np.testing.assert_array_equal(read_maps(tmp_path / 'c.dscalar.nii')[0][0], data[0])

    source = read_input(every_input(tmp_path)['dscalar'][0])
    path = write_map(str(tmp_path / 'x_dat_tstat'), source.data[0], source, double=False)
    assert 'x_dat_tstat' in run('-file-information', path)


def test_tables(tmp_path):
    names = PalmNames(str(tmp_path / 'o' / 'x'), n_contrasts=2)
    maxima = [3.871802086478676, 2.0, np.inf, 1 / 3, np.nan]
    path = write_maxima(names.map('vox', 'tstat', 'max', contrast=2), maxima)
    assert path.name == 'x_vox_tstat_max_c2.csv'
    assert path.read_text() == '3.871802086478676\n2\nInf\n0.3333333333333333\nNaN\n'
    dof = write_dof(names.map('vox', 'tstat', contrast=1, tail='dof'), [13])
    assert dof.name == 'x_vox_tstat_c1_dof.txt'
    assert dof.read_text() == '0\n13\n'
    assert write_dof(str(tmp_path / 'g'), [12.5, 1e-7]).read_text() == '0\n12.5,1e-07\n'
    shuffles = np.array([[1, 2, 3], [-3, 1, -2]])
    path = write_shuffles(tmp_path / 'x_permidx.csv', shuffles)
    assert path.read_text() == '1,2,3\n-3,1,-2\n'
    np.testing.assert_array_equal(read_matrix(path), shuffles)
    path = write_elapsed(tmp_path / 'x_elapsed.csv', [0.25, 1 / 3, 2])
    assert path.read_text() == '0.25,0.3333333333333333,2\n'


def test_configuration_is_one_option_a_line(tmp_path):
    arguments = ['-i', 'a b.nii', '-ise', '-s', 'm.srf', '-1.5', '-o', 'x']
    path = write_configuration(tmp_path / 'c.txt', arguments, 'ketbids-palm 1.0\nx')
    assert path.read_text() == '# ketbids-palm 1.0 x\n\n-i a b.nii\n-ise\n-s m.srf -1.5\n-o x\n'


def test_special_values_in_a_csv_map(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('1,1,5,3\n2,2,5,1\n')
    source = read_input(path)
    written = write_map(str(tmp_path / 'x'), [np.nan, -np.inf, 0.00005], source, double=False)
    assert written.read_text() == 'NaN,-Inf,0.0000,0.0001\n'


def test_a_map_is_written_as_palm_wrote_it(shared, tmp_path):
    case = shared / 'reference/palm/twosample_exact'
    for stem, data in (
        ('uni_onetail/palm_vox_tstat_m1_c1', 'L'),
        ('uni_onetail/palm_vox_tstat_uncp_m3_c2', 'V'),
        ('opt_V_T_logp/palm_tfce_tstat_fwep', 'V'),
        ('opt_V_T_save1-p/palm_vox_tstat_uncp', 'V'),
    ):
        source = read_input(case / f'inputs/{data}.nii')
        theirs = nb.load(case / 'out' / f'{stem}.nii.gz')
        whole = np.asarray(theirs.dataobj).reshape(-1)
        assert (whole[~source.mask] == 0).all()
        ours = nb.load(write_map(str(tmp_path / 'x'), whole[source.mask], source, double=True))
        np.testing.assert_array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
        np.testing.assert_array_equal(ours.affine, theirs.affine)
        assert ours.get_data_dtype() == theirs.get_data_dtype() == np.float64
        for field in ('dim', 'pixdim', 'cal_max', 'cal_min', 'sform_code', 'qform_code'):
            np.testing.assert_array_equal(ours.header[field], theirs.header[field], err_msg=field)
    maxima = case / 'out/uni_onetail/palm_vox_tstat_max_m1_c1.csv'
    written = write_maxima(str(tmp_path / 'm'), np.loadtxt(maxima))
    assert written.read_text() == maxima.read_text()
    dof = case / 'out/uni_onetail/palm_vox_tstat_m1_c1_dof.txt'
    assert write_dof(str(tmp_path / 'd'), [8]).read_text() == dof.read_text()
