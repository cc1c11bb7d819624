//! Splits RTF into groups, control words and text.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    GroupStart,
    GroupEnd,
    /// A control word and its number.
    Word(&'a str, Option<i32>),
    /// A control symbol, such as `\~`.
    Symbol(u8),
    /// A byte of text as `\'e9`.
    Byte(u8),
    /// Text without line ends, which mean nothing.
    Text(&'a [u8]),
}

/// An iterator over the tokens of a file.
pub(super) struct Lexer<'a> {
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the bytes from the start while they match.
    fn take_while(&mut self, matches: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| matches(**byte)).count();
        self.take(length)
    }

    /// Takes this many bytes, or as many as there are.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) =
            self.rest.split_at_checked(length).unwrap_or((self.rest, Default::default()));
        self.rest = rest;
        taken
    }

    fn next_control(&mut self) -> Option<Token<'a>> {
        let letters = self.take_while(|byte| byte.is_ascii_alphabetic());
        if letters.is_empty() {
            let symbol = *self.take(1).first()?;
            if symbol != b'\'' {
                return Some(Token::Symbol(symbol));
            }
            let digits = std::str::from_utf8(self.take(2)).unwrap_or_default();
            return Some(Token::Byte(u8::from_str_radix(digits, 16).unwrap_or(b'?')));
        }
        let word = std::str::from_utf8(letters).unwrap_or_default();
        let is_negative = self.rest.first() == Some(&b'-');
        if is_negative {
            self.take(1);
        }
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(digits).unwrap_or_default().parse::<i32>().ok();
        if self.rest.first() == Some(&b' ') {
            self.take(1);
        }
        if word == "bin" {
            // Bytes that are no RTF follow.
            self.take(number.and_then(|count| usize::try_from(count).ok()).unwrap_or_default());
        }
        Some(Token::Word(word, number.map(|number| if is_negative { -number } else { number })))
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.rest.first()? {
                b'{' => {
                    self.take(1);
                    return Some(Token::GroupStart);
                }
                b'}' => {
                    self.take(1);
                    return Some(Token::GroupEnd);
                }
                b'\\' => {
                    self.take(1);
                    return self.next_control();
                }
                b'\r' | b'\n' | 0 => _ = self.take(1),
                _ => {
                    let is_text =
                        |byte: u8| !matches!(byte, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0);
                    return Some(Token::Text(self.take_while(is_text)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_a_space_which_belongs_to_them() {
        let tokens: Vec<Token<'_>> =
            Lexer::new(b"{\\b1 a\\'e9\\u-3 ?\\~\\bin3 }}}z\r\n}").collect();
        assert_eq!(
            tokens,
            [
                Token::GroupStart,
                Token::Word("b", Some(1)),
                Token::Text(b"a"),
                Token::Byte(0xe9),
                Token::Word("u", Some(-3)),
                Token::Text(b"?"),
                Token::Symbol(b'~'),
                Token::Word("bin", Some(3)),
                Token::Text(b"z"),
                Token::GroupEnd,
            ]
        );
    }
}
