import dataclasses
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.reports.links import Link
from ketbids.reports.page import (
    AnalysisSection,
    Direction,
    GroupPage,
    Part,
    ParticipantPage,
    Picture,
    RunSection,
    SessionSection,
    group_page,
    participant_page,
)
from ketbids.reports.tables import Table

HOSTILE = (
    '<script>alert("1")</script>\'"&<img src=http://evil.example/x onerror=alert(1)>{{ 7*7 }}'
)
PNG = b'\x89PNG\r\n\x1a\n' + b'not really'
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(html)
        self.text = ' '.join(' '.join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def values(self, name):
        return [attrs[name] for _, attrs in self.attributes if name in attrs]


def loader(path):
    return SVG if path.endswith('.svg') else PNG


@pytest.fixture
def session():
    table = Table.from_frame(pd.DataFrame({'condition': ['go', HOSTILE], 'n': [3, 4]}))
    run = RunSection(
        title=f'Run {HOSTILE}',
        facts=(('TR', '0.8 s'), (HOSTILE, HOSTILE)),
        notes=(HOSTILE,),
        warnings=(HOSTILE,),
        parts=(
            Part(HOSTILE, HOSTILE, table),
            Part('Design', picture=Picture('figures/design.png', 'Design', alt=HOSTILE)),
            Part('Motion', 'words', picture=Picture('figures/motion.svg', 'Motion')),
        ),
        span={'first': 8.0},
        maps=(Picture('figures/a b.png', HOSTILE, caption=HOSTILE),),
    )
    return SessionSection(
        'TP1', (run, RunSection('bare')), (Picture('c.png', 'Both'),), (HOSTILE,)
    )


@pytest.fixture
def group():
    table = Table.from_frame(pd.DataFrame({HOSTILE: [HOSTILE]}), caption=HOSTILE)
    analysis = AnalysisSection(
        title=HOSTILE,
        design=HOSTILE,
        n=2,
        participants=(HOSTILE, 'sub-02'),
        excluded=table,
        settings=HOSTILE,
        warnings=(HOSTILE,),
        figure=Picture('m.png', HOSTILE),
        directions=(Direction(HOSTILE, HOSTILE, table), Direction('down', 'Nothing.')),
        regions=table,
        links=(Link(HOSTILE, 'group/node-a/javascript:x "y".tsv'),),
    )
    bare = AnalysisSection('Bare', 'Nothing.', 0)
    return GroupPage(
        title=HOSTILE,
        version='1',
        methods=(HOSTILE,),
        participants=table,
        analyses=(analysis, bare),
        links=(Link('x', 'javascript:alert(1)'),),
        messages=(HOSTILE,),
    )


def check(html, n_pictures):
    page = Page(html)
    assert 'script' not in page.tags
    assert page.tags.count('img') == n_pictures
    assert not [name for _, attrs in page.attributes for name in attrs if name.startswith('on')]
    assert all(source.startswith('data:image/') for source in page.values('src'))
    assert all(target.startswith(('#', './')) for target in page.values('href'))
    assert all(alt for alt in page.values('alt'))
    identifiers = page.values('id')
    assert len(set(identifiers)) == len(identifiers)
    assert {t[1:] for t in page.values('href') if t.startswith('#')} <= set(identifiers)
    style = re.search('<style>(.*?)</style>', html, re.S).group(1)
    assert 'url(' not in style
    assert '@import' not in style
    assert '&lt;' not in style  # the style sheet itself must not be escaped
    assert HOSTILE in page.text
    assert '49' not in page.text
    return page


def test_a_study_without_sessions(session):
    one = SessionSection('', session.runs)
    html = participant_page(ParticipantPage('01', '0.1', (one,), ()), loader)
    assert '<h2>Runs</h2>' in html
    assert '>Runs</a>' in html
    assert 'Session' not in html
    assert ' session' not in Page(html).text


def test_participant_page_is_safe_and_complete(session):
    page = ParticipantPage(HOSTILE, '0.1', (session, SessionSection('TP2')), (HOSTILE,))
    html = participant_page(page, loader)
    seen = check(html, 4)
    assert 'data:image/svg+xml;base64,' in html
    assert 'Session TP2' in seen.text
    assert 'No run was analysed.' in seen.text


def test_group_page_is_safe_and_complete(group):
    seen = check(group_page(group, loader), 1)
    assert './javascript%3Aalert%281%29' in seen.values('href')
    assert 'Who is in: 2 maps' in seen.text
    assert 'Who is in: 0 maps' in seen.text
    assert 'Nothing.' in seen.text


def test_pages_without_anything():
    assert 'No session was analysed.' in participant_page(ParticipantPage('1', '1', ()), loader)
    assert '<h1>Empty</h1>' in group_page(GroupPage('Empty', '1'), loader)


def test_session_survives_json(session):
    again = SessionSection.from_dict(json.loads(json.dumps(session.to_dict())))
    assert again == session
    page = ParticipantPage('01', '1', (session,))
    same = dataclasses.replace(page, sessions=(again,))
    assert participant_page(page, loader) == participant_page(same, loader)


@pytest.mark.parametrize(
    'spoil',
    [
        lambda d: d.pop('runs'),
        lambda d: d['runs'][0].update(surprise=1),
        lambda d: d['runs'][0].pop('parts'),
        lambda d: d['runs'][0]['parts'][1]['picture'].pop('path'),
        lambda d: d['runs'][0]['parts'][0]['table'].update(rows=[['one']]),
        lambda d: d.update(maps=None),
    ],
)
def test_damaged_json_is_refused(session, spoil):
    content = json.loads(json.dumps(session.to_dict()))
    spoil(content)
    with pytest.raises(InputError, match='saved session'):
        SessionSection.from_dict(content)


def test_pictures_must_be_pictures(session):
    page = ParticipantPage('01', '1', (session,))
    with pytest.raises(InputError, match='neither a PNG nor an SVG'):
        participant_page(page, lambda path: b'<html></html>')


@pytest.mark.parametrize('path', ['/etc/passwd', '../x', 'a/../../x', '', 'a\\b'])
def test_links_stay_in_the_folder(path):
    with pytest.raises(InputError, match='leaves the folder'):
        group_page(GroupPage('t', '1', links=(Link('x', path),)), loader)
