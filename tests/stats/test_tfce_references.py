"""TFCE against PALM's sum of 100 steps and Workbench's exact integral."""

import subprocess

import nibabel as nib
import numpy as np
import pytest

from ketbids.io.surfaces import read_surface
from ketbids.io.templates import template_surface
from ketbids.stats.graph import adjacency, extents, vertex_areas
from ketbids.stats.tfce import Enhancer, Exponents

from .palm_reference import (
    image,
    mesh,
    mesh_graph,
    observed_z,
    surface_models,
    table,
    volume_models,
    voxel_graph,
)
from .small_brain import LEFT, icosphere

SURFACE, VOLUME = Exponents(2.0, 1.0), Exponents(2.0, 0.5)
STEPS = {'steps': 100}
CASES = ['eb_within_paired_exact', 'onesample_cov', 'paired_signflip_exact']
CASES += ['twosample_cov', 'twosample_exact']


def assert_palms(folder, run, tails, graph, extent, exponents, kind='dpv', ending='', rule=STEPS):
    """Every location of the observed maps is as PALM has it."""
    design = table(folder / 'inputs' / 'design.csv')
    maps = {}
    for contrast in ('', '_c1', '_c2'):
        file = folder / 'out' / run / f'palm_{kind}_tstat{ending}{contrast}.nii.gz'
        if not file.exists():
            continue
        z = observed_z(file, design)
        theirs = image(folder / 'out' / run / f'palm_tfce_tstat{ending}{contrast}.nii.gz')
        enhancer = Enhancer(graph, extent, np.zeros(len(z), int), {0: exponents}, **rule)
        ours = np.empty(len(z))
        largest = enhancer.enhance(np.abs(z) if tails == 'two' else z, ours, 'positive')
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0)
        np.testing.assert_allclose(largest, theirs.max(), rtol=1e-9)
        assert theirs.max() > 0
        maps[contrast] = z, theirs
    assert maps
    if '_c2' in maps:
        # The opposite contrast is the other direction of the same map.
        z, positive = maps['_c1']
        enhancer.enhance(z, ours, 'signed')
        np.testing.assert_allclose(ours, positive + maps['_c2'][1], rtol=1e-9)


@pytest.mark.parametrize('tails', ['one', 'two'])
@pytest.mark.parametrize('case', CASES)
def test_equals_palm_on_the_hemispheres(shared, case, tails):
    palm = shared / 'reference' / 'palm'
    for number, side in enumerate('LR', 1):
        graph = mesh_graph(mesh(palm / 'common' / f'{side}.srf'))
        extent = table(palm / 'common' / f'{side}_area.csv').ravel()
        run = f'tfceLR_{tails}tail'
        assert_palms(palm / case, run, tails, graph, extent, SURFACE, ending=f'_m{number}')


@pytest.mark.parametrize('tails', ['one', 'two'])
@pytest.mark.parametrize('case', CASES)
def test_equals_palm_in_the_volume(shared, case, tails):
    folder, graph = shared / 'reference' / 'palm' / case, voxel_graph()
    extent = np.ones(len(graph.indptr) - 1)
    assert_palms(folder, f'tfceV_{tails}tail', tails, graph, extent, VOLUME, kind='vox')


@pytest.mark.parametrize('case', [CASES[0], CASES[2], CASES[4]])
def test_equals_palm_on_surfaces_and_voxels_as_one_mesh(shared, case):
    palm = shared / 'reference' / 'palm'
    graph = mesh_graph(mesh(palm / 'common' / 'LRV.srf'))
    extent = table(palm / 'common' / 'LRV_area.csv').ravel()
    assert_palms(palm / case, 'tfceJOINT_twotail', 'two', graph, extent, SURFACE)


@pytest.mark.parametrize(
    ('run', 'connectivity', 'exponents', 'rule'),
    [
        ('opt_V_T_C26', 26, VOLUME, STEPS),
        ('opt_V_T_C18', 18, VOLUME, STEPS),
        ('opt_V_T_tfce2D', 26, SURFACE, STEPS),
        ('opt_V_T_H2.5_E0.75', 6, Exponents(2.5, 0.75), STEPS),
        ('opt_V_T_dh0.1', 6, VOLUME, {'step_height': 0.1}),
        ('opt_V_T_corrcon', 6, VOLUME, STEPS),
    ],
)
def test_equals_palms_options_in_the_volume(shared, run, connectivity, exponents, rule):
    folder = shared / 'reference' / 'palm' / 'twosample_exact'
    graph = voxel_graph(connectivity)
    extent = np.ones(len(graph.indptr) - 1)
    assert_palms(folder, run, 'one', graph, extent, exponents, kind='vox', rule=rule)


@pytest.mark.parametrize(
    ('run', 'areas', 'tails', 'exponents'),
    [
        ('opt_L_T_area1', 'one', 'one', SURFACE),
        ('opt_L_T_ownarea', 'own', 'one', SURFACE),
        ('opt_L_T_E0.5', 'file', 'two', VOLUME),
    ],
)
def test_equals_palms_options_on_a_surface(shared, run, areas, tails, exponents):
    palm = shared / 'reference' / 'palm'
    surface = mesh(palm / 'common' / 'L.srf')
    extent = {
        'one': np.ones(len(surface.coordinates)),
        'own': vertex_areas(surface),
        'file': table(palm / 'common' / 'L_area.csv').ravel(),
    }[areas]
    folder = palm / 'twosample_exact'
    assert_palms(folder, run, tails, mesh_graph(surface), extent, exponents)


def smooth(graph, seed):
    """Noise averaged over neighbours ten times, as z of single precision."""
    matrix = graph.matrix().astype(float)
    degree = 1 + np.diff(graph.indptr)
    z = np.random.default_rng(seed).standard_normal(len(degree))
    for _ in range(10):
        z = (z + matrix @ z) / degree
    return (2 * z / z.std()).astype(np.float32)


def assert_workbenchs(ours, theirs):
    # Workbench takes differences in single precision: near 0 few digits of it are left.
    largest = np.abs(theirs).max()
    np.testing.assert_allclose(ours * np.sign(theirs), theirs, rtol=2e-6, atol=1e-9 * largest)
    assert (theirs != 0).mean() > 0.99


def check_surface(surface, z, folder, wb_command, exponents):
    n = len(surface.coordinates)
    points = nib.gifti.GiftiDataArray(
        surface.coordinates.astype(np.float32), 'NIFTI_INTENT_POINTSET'
    )
    faces = nib.gifti.GiftiDataArray(surface.triangles, 'NIFTI_INTENT_TRIANGLE')
    points.meta['AnatomicalStructurePrimary'] = 'CortexLeft'
    metric = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(z, 'NIFTI_INTENT_NONE')])
    metric.meta['AnatomicalStructurePrimary'] = 'CortexLeft'
    nib.save(nib.GiftiImage(darrays=[points, faces]), folder / 'a.surf.gii')
    nib.save(metric, folder / 'in.func.gii')
    command = [wb_command, '-metric-tfce', 'a.surf.gii', 'in.func.gii', 'out.func.gii']
    command += ['-parameters', str(exponents.extent), str(exponents.height)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    theirs = nib.load(folder / 'out.func.gii').darrays[0].data.astype(float)
    extent = extents(surface_models(n), {LEFT: vertex_areas(surface)})
    ours = np.empty(n)
    enhancer = Enhancer(mesh_graph(surface), extent, np.zeros(n, int), {0: exponents})
    enhancer.enhance(z.astype(float), ours, 'signed')
    assert_workbenchs(ours, theirs)


def test_equals_workbench_on_rough_noise(tmp_path, wb_command):
    surface = icosphere(3)
    z = np.random.default_rng(4).standard_normal(len(surface.coordinates)).astype(np.float32)
    check_surface(surface, z, tmp_path, wb_command, SURFACE)


@pytest.mark.parametrize(
    ('hemisphere', 'exponents'), [('L', SURFACE), ('R', VOLUME), ('R', Exponents(1.5, 0.75))]
)
def test_equals_workbench_on_a_real_mesh(tmp_path, wb_command, hemisphere, exponents):
    surface = template_surface(hemisphere, 'midthickness')
    z = smooth(mesh_graph(surface), 5)
    check_surface(surface, z, tmp_path, wb_command, exponents)


def test_equals_workbench_on_a_participants_mesh(tmp_path, wb_command, shared):
    file = 'sub-50005.L.midthickness.32k_fs_LR.surf.gii'
    surface, _ = read_surface(shared / 'data' / 'cnp_sub-50005' / file)
    z = smooth(mesh_graph(surface), 6)
    check_surface(surface, z, tmp_path, wb_command, SURFACE)


@pytest.mark.parametrize(
    ('shape', 'exponents'), [((9, 8, 7), VOLUME), ((30, 25, 20), VOLUME), ((9, 8, 7), SURFACE)]
)
def test_equals_workbench_in_a_volume(tmp_path, wb_command, shape, exponents):
    models = volume_models(shape, size=2.0)
    graph = adjacency(models, {})
    z = smooth(graph, 7)
    nib.save(nib.Nifti1Image(z.reshape(shape), models.affine), tmp_path / 'in.nii')
    command = [wb_command, '-volume-tfce', 'in.nii', 'out.nii']
    command += ['-parameters', str(exponents.extent), str(exponents.height)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = nib.load(tmp_path / 'out.nii').get_fdata().ravel()
    # Workbench measures the cluster in mm^3, 8 a voxel.
    ours = np.empty(len(z))
    enhancer = Enhancer(graph, np.full(len(z), 8.0), models.partition, {1: exponents})
    enhancer.enhance(z.astype(float), ours, 'signed')
    assert_workbenchs(ours, theirs)
