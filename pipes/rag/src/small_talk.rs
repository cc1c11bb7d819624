//! Recognizes greetings, thanks and questions about the assistant, which no document answers.

/// The maximum number of words of small talk.
const MAX_WORDS: usize = 5;

/// The maximum number of words of a text that is nothing but small talk.
const MAX_COURTESY_WORDS: usize = 12;

/// Words with which greetings and thanks begin.
const OPENINGS: &[&str] = &[
    "hello",
    "hi",
    "hey",
    "thanks",
    "thank",
    "thx",
    "bye",
    "goodbye",
    "ok",
    "okay",
    "great",
    "perfect",
    "cheers",
    "hallo",
    "danke",
    "dankeschön",
    "moin",
    "tschüss",
    "servus",
    "prima",
    "bonjour",
    "bonsoir",
    "salut",
    "merci",
    "hola",
    "gracias",
    "adiós",
    "ciao",
    "grazie",
    "buongiorno",
    "buonasera",
    "olá",
    "obrigado",
    "obrigada",
    "hoi",
    "dank",
    "bedankt",
    "hej",
    "tack",
    "cześć",
    "dziękuję",
    "merhaba",
    "teşekkürler",
    "привет",
    "здравствуйте",
    "спасибо",
    "你好",
    "您好",
    "谢谢",
    "謝謝",
    "こんにちは",
    "ありがとう",
    "안녕하세요",
    "감사합니다",
    "مرحبا",
    "شكرا",
];

/// Greetings of several words, and questions about the assistant.
const PHRASES: &[&str] = &[
    "good morning",
    "good afternoon",
    "good evening",
    "good night",
    "good day",
    "how are you",
    "who are you",
    "what are you",
    "what can you do",
    "what s your name",
    "what is your name",
    "wer bist du",
    "wer sind sie",
    "was bist du",
    "was kannst du",
    "was können sie",
    "wie heißt du",
    "qui es tu",
    "qui êtes vous",
    "quién eres",
    "chi sei",
    "quem é você",
    "wie ben jij",
    "кто ты",
    "кто вы",
    "你是谁",
    "你是誰",
    "من أنت",
    "guten morgen",
    "guten tag",
    "guten abend",
    "gute nacht",
    "grüß gott",
    "wie geht",
    "auf wiedersehen",
    "vielen dank",
    "ça va",
    "buenos días",
    "buenas tardes",
    "buenas noches",
    "bom dia",
    "boa tarde",
    "boa noite",
    "добрый день",
    "доброе утро",
    "добрый вечер",
    "谢谢你",
    "谢谢您",
    "ありがとうございます",
    "السلام عليكم",
];

/// Words that stand beside a greeting or thanks and ask for nothing.
const FILLERS: &[&str] = &[
    "there",
    "everyone",
    "all",
    "again",
    "you",
    "u",
    "so",
    "very",
    "much",
    "a",
    "lot",
    "for",
    "that",
    "this",
    "the",
    "your",
    "help",
    "and",
    "are",
    "how",
    "doing",
    "today",
    "is",
    "it",
    "was",
    "helpful",
    "really",
    "many",
    "dir",
    "ihnen",
    "euch",
    "sehr",
    "vielmals",
    "für",
    "die",
    "das",
    "deine",
    "ihre",
    "hilfe",
    "und",
    "es",
    "s",
    "zusammen",
    "schönen",
    "hat",
    "mir",
    "geholfen",
    "hilft",
    "beaucoup",
    "bien",
    "pour",
    "votre",
    "ton",
    "aide",
    "muchas",
    "por",
    "tu",
    "su",
    "ayuda",
    "mille",
    "molte",
    "tante",
    "per",
    "il",
    "tuo",
    "aiuto",
    "muito",
    "pela",
    "ajuda",
    "je",
    "wel",
    "большое",
    "за",
    "помощь",
];

/// Returns true for a greeting or thanks rather than a question: such a text may go on with
/// something else.
pub(crate) fn is_small_talk(text: &str) -> bool {
    let first: String = text.trim().chars().take_while(|char| char.is_alphabetic()).collect();
    !text.contains(['?', '？', '؟'])
        && text.split_whitespace().count() <= MAX_WORDS
        && OPENINGS.contains(&first.to_lowercase().as_str())
}

/// Returns true for a text that is nothing but greetings, thanks and questions about the assistant,
/// as "Thanks a lot!" and "Who are you?" are.
pub(crate) fn is_only_small_talk(text: &str) -> bool {
    let words = text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    // Of a long text no more is looked at than shows that it is long.
    let words: Vec<_> = words.take(MAX_COURTESY_WORDS + 1).map(str::to_lowercase).collect();
    if words.len() > MAX_COURTESY_WORDS {
        return false;
    }
    let mut joined = words.join(" ");
    let has_phrase = PHRASES.iter().any(|phrase| joined.contains(phrase));
    if !has_phrase && !words.iter().any(|word| OPENINGS.contains(&word.as_str())) {
        return false;
    }
    for phrase in PHRASES {
        joined = joined.replace(phrase, " ");
    }
    joined.split_whitespace().all(|word| OPENINGS.contains(&word) || FILLERS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_talk_is_short_and_asks_nothing() {
        for text in ["Hello!", "Thanks a lot for that", "你好！", "Danke", "ok, the budget"] {
            assert!(is_small_talk(text), "{text}");
        }
        for text in ["hi, when does it open?", "parental leave weeks"] {
            assert!(!is_small_talk(text), "{text}");
        }
    }

    #[test]
    fn a_text_of_greetings_and_thanks_asks_for_nothing_else() {
        for text in [
            "Hello!",
            "Hi there, how are you?",
            "Guten Morgen zusammen",
            "Great, thank you very much for your help!",
            "Danke, das hilft mir sehr",
            "Merci beaucoup",
            "谢谢你！",
            "Спасибо большое за помощь",
            "Who are you?",
            "Hello, what's your name?",
            "Wer bist du?",
            "你是谁？",
        ] {
            assert!(is_only_small_talk(text), "{text}");
        }
        for text in [
            "ok, and in winter",
            "hi, when does it open?",
            "Thank you note for clients",
            "help",
            "How are you paid?",
            "Who are you insured with?",
            "Who is the director?",
            "and you?",
            "",
        ] {
            assert!(!is_only_small_talk(text), "{text}");
        }
    }
}
