//! Warmth of a Chinese text: a small lexicon of kind and unkind words, counted with negation.

/// Words that make a text warmer, each worth +2, and colder, each −2: the scale of VADER's lexicon, where most words of
/// feeling lie between 1.5 and 2.5.
const WARM: &[&str] = &[
    "谢谢",
    "感谢",
    "高兴",
    "开心",
    "愉快",
    "快乐",
    "幸福",
    "喜欢",
    "欢迎",
    "祝",
    "愿你",
    "希望",
    "加油",
    "好话题",
    "好问题",
    "有帮助",
    "帮忙",
    "乐意",
    "温暖",
    "美好",
    "放心",
    "可爱",
    "真好",
    "太好了",
    "棒",
    "舒服",
    "好看",
    "健康",
    "平安",
    "爱",
];
const COLD: &[&str] = &[
    "无聊", "糟糕", "讨厌", "烦", "笨", "傻", "愚蠢", "难过", "悲伤", "生气", "可怕", "恨", "坏", "差劲", "失望",
    "麻烦", "滚", "闭嘴", "痛苦", "孤单", "没用", "丑",
];
/// Right before a word, these turn it round.
const NEGATIONS: &[char] = &['不', '没', '别', '无', '未'];
const VALENCE: f64 = 2.0;
/// How much a turned-round word counts, as in VADER.
const NEGATED: f64 = -0.74;

/// Sum of the valences, before it is brought into (−1, 1).
pub(super) fn valence(text: &str) -> f64 {
    let mut sum = 0.0;
    let mut rest = text;
    let mut before = None;
    while let Some(character) = rest.chars().next() {
        let found = longest(rest, WARM).map(|word| (word, VALENCE)).into_iter();
        let found = found.chain(longest(rest, COLD).map(|word| (word, -VALENCE))).max_by_key(|(word, _)| word.len());
        let (length, last) = match found {
            Some((word, valence)) => {
                let negated = before.is_some_and(|character| NEGATIONS.contains(&character));
                sum += if negated { valence * NEGATED } else { valence };
                (word.len(), word.chars().last())
            }
            None => (character.len_utf8(), Some(character)),
        };
        before = last;
        rest = &rest[length..];
    }
    sum
}

fn longest(text: &str, words: &'static [&'static str]) -> Option<&'static str> {
    words.iter().copied().filter(|word| text.starts_with(word)).max_by_key(|word| word.len())
}

/// Han characters: what counts as Chinese here.
pub(super) fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}
