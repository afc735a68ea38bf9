//! Graph's enums. Microsoft adds members without notice, so every one of them has a place for words we don't know,
//! and gives them back as they came.

/// Makes an enum of words that Graph says. Compared without regard to case; written as declared here.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $member:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$note])* $member,)+
            /// A word newer than keybench.
            Other(String),
        }

        impl $name {
            /// Reads Graph's word.
            pub fn read(word: &str) -> Self {
                let word = word.trim();
                $(if word.eq_ignore_ascii_case($word) { return Self::$member; })+
                Self::Other(word.to_owned())
            }

            /// As Graph writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$member => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use words;

#[cfg(test)]
mod tests {
    words!(
        /// For the test.
        Light { Red = "red", Green = "goGreen" }
    );

    #[test]
    fn a_word_we_do_not_know_comes_back_as_it_was() {
        assert_eq!(Light::read(" GOGREEN "), Light::Green);
        assert_eq!(Light::read("Amber"), Light::Other("Amber".to_owned()));
        assert_eq!(Light::read("Amber").to_string(), "Amber");
        assert_eq!(Light::Red.as_str(), "red");
    }
}
