"""All shuffles that PALM itself makes for small designs."""

FAMILIES = [[-1, 1, -1, 1], [-1, 1, -1, 2], [-1, 1, -2, 1], [-1, 1, -2, 2]]
FAMILIES += [[-1, -2, 1, 1], [-1, -2, 1, 2], [-1, -2, -2, 1], [-1, -2, 1, 3]]

# All shuffles that PALM makes (commit 04095fe, Octave 7.3) for small designs, from
#   palm -i y.csv -d design.csv -t contrast.csv -n 0 -saveperms [-eb blocks.csv] OPTIONS
# where the design is the labels and a column of ones, the contrast 1, 0. One word per shuffle;
# a to h are -1 to -8.
PALM = {
    'whole blocks': (
        [2, 1, 3, 2, 1, 3],
        [5, 1, 5, 5, 1, 2],
        '-ee -whole',
        '123456 321654 132465 231564 312645 213546 ',
    ),
    'whole and within': (
        [1, 2, 3, 3, 2, 1],
        [3, 1, 5, 6, 2, 4],
        '-ee -whole -within',
        '123456 153426 623451 653421 124356 154326 624351 654321 321654 351624 421653 451623 '
        '326154 356124 426153 456123 213465 263415 513462 563412 214365 264315 514362 564312 '
        '312564 362514 412563 462513 315264 365214 415263 465213 231645 241635 531642 541632 '
        '236145 246135 536142 546132 132546 142536 632541 642531 135246 145236 635241 645231 ',
    ),
    'within blocks of three sizes': (
        [1, 2, 1, 2, 3, 1, 3],
        [1, 1, 0, 0, 1, 0, 0],
        '-ee',
        '1234567 6234517 3214567 1432567 6432517 3412567 1234765 6234715 3214765 1432765 '
        '6432715 3412765 ',
    ),
    'flips of whole blocks, equal labels': (
        [1, 2, 1, 3, 2, 3],
        [1, 0, 1, 1, 0, 1],
        '-ise -whole',
        '123456 1b34e6 a2c456 abc4e6 123d5f 1b3def a2cd5f abcdef ',
    ),
    'three levels, fixed inside': (
        [
            [1, 1, -1],
            [1, 1, -1],
            [1, 1, -2],
            [1, 1, -2],
            [1, 2, -1],
            [1, 2, -1],
            [1, 2, -2],
            [1, 2, -2],
        ],
        [1, 2, 3, 4, 1, 1, 2, 4],
        '-ee',
        '12345678 12347856 34125678 34127856 56781234 56783412 78561234 78563412 ',
    ),
    'four levels, both signs': (
        [
            [-1, 1, -1, 1],
            [-1, 1, -1, 2],
            [-1, 1, -2, 1],
            [-1, 1, -2, 2],
            [-1, -2, 1, 1],
            [-1, -2, 1, 2],
            [-1, -2, -2, 1],
            [-1, -2, 1, 3],
        ],
        [1, 2, 3, 1, 1, 2, 2, 3],
        '-ee',
        '12345678 12345876 12346578 12346875 12348576 12348675 34125678 34125876 34126578 '
        '34126875 34128576 34128675 ',
    ),
    'flips of four levels': (
        [
            [-1, 1, -1, 1],
            [-1, 1, -1, 2],
            [-1, 1, -2, 1],
            [-1, 1, -2, 2],
            [-1, -2, 1, 1],
            [-1, -2, 1, 2],
            [-1, -2, -2, 1],
            [-1, -2, 1, 3],
        ],
        [1, 2, 3, 1, 1, 2, 2, 3],
        '-ise',
        '12345678 123456g8 1234e678 1234e6g8 12345f78 12345fg8 1234ef78 1234efg8 1234567h '
        '123456gh 1234e67h 1234e6gh 12345f7h 12345fgh 1234ef7h 1234efgh ab345678 ab3456g8 '
        'ab34e678 ab34e6g8 ab345f78 ab345fg8 ab34ef78 ab34efg8 ab34567h ab3456gh ab34e67h '
        'ab34e6gh ab345f7h ab345fgh ab34ef7h ab34efgh 12cd5678 12cd56g8 12cde678 12cde6g8 '
        '12cd5f78 12cd5fg8 12cdef78 12cdefg8 12cd567h 12cd56gh 12cde67h 12cde6gh 12cd5f7h '
        '12cd5fgh 12cdef7h 12cdefgh abcd5678 abcd56g8 abcde678 abcde6g8 abcd5f78 abcd5fg8 '
        'abcdef78 abcdefg8 abcd567h abcd56gh abcde67h abcde6gh abcd5f7h abcd5fgh abcdef7h '
        'abcdefgh ',
    ),
    'permutations and flips of blocks': (
        [3, 1, 2, 3, 1, 2],
        [1, 2, 2, 1, 2, 3],
        '-ee -ise -whole',
        '123456 a23d56 1b34e6 ab3de6 12c45f a2cd5f 1bc4ef abcdef 132465 a32d65 13b46e a3bd6e '
        '1c24f5 ac2df5 1cb4fe acbdfe 213546 2a35d6 b13e46 ba3ed6 21c54f 2ac5df b1ce4f bacedf '
        '231564 23a56d b31e64 b3ae6d 2c15f4 2ca5fd bc1ef4 bcaefd 312645 3a26d5 31b64e 3ab6de '
        'c12f45 ca2fd5 c1bf4e cabfde 321654 32a65d 3b16e4 3ba6ed c21f54 c2af5d cb1fe4 cbafed ',
    ),
    'free flips, sorted by label': (
        None,
        [1, 0, 2, 0],
        '-ise',
        '1234 1b34 123d 1b3d a234 ab34 a23d ab3d 12c4 1bc4 12cd 1bcd a2c4 abc4 a2cd abcd ',
    ),
    'free permutations and flips': (
        None,
        [1, 0, 1, 1],
        '-ee -ise',
        '1234 1b34 a234 ab34 12c4 1bc4 a2c4 abc4 123d 1b3d a23d ab3d 12cd 1bcd a2cd abcd 2431 '
        '2d31 b431 bd31 24c1 2dc1 b4c1 bdc1 243a 2d3a b43a bd3a 24ca 2dca b4ca bdca 1423 1d23 '
        'a423 ad23 14b3 1db3 a4b3 adb3 142c 1d2c a42c ad2c 14bc 1dbc a4bc adbc 1432 1d32 a432 '
        'ad32 14c2 1dc2 a4c2 adc2 143b 1d3b a43b ad3b 14cb 1dcb a4cb adcb ',
    ),
}
