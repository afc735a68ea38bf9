//! Text in a column: paragraphs and lists broken into lines.
//!
//! Words are kept whole unless one is wider than the column. `**…**` is bold.

use super::{Fonts, MM_PER_POINT, Place, Sheet, Style};

/// A text is longer than its place.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the text is {by} mm longer than its place")]
pub struct Overflow {
    /// By so many millimetres, at least.
    pub by: f32,
}

/// A column that is filled from the top.
pub struct Flow<'a> {
    fonts: &'a Fonts,
    place: Place,
    y: f32,
    /// Size of running text in points.
    size: f32,
    /// From baseline to baseline, in sizes.
    leading: f32,
}

/// Pieces that stand together without a blank, each in its face.
type Word = Vec<(Style, String)>;

impl<'a> Flow<'a> {
    /// An empty column.
    pub fn new(fonts: &'a Fonts, place: Place, size: f32) -> Self {
        Self { fonts, place, y: place.y, size, leading: 1.38 }
    }

    /// Where the next line would begin.
    pub fn y(&self) -> f32 {
        self.y
    }

    /// Leaves room, in sizes of the running text.
    pub fn skip(&mut self, sizes: f32) {
        self.y += sizes * self.size * MM_PER_POINT;
    }

    /// A heading.
    pub fn heading(&mut self, sheet: &mut Sheet, factor: f32, text: &str) {
        let words = words(text, Style::Bold);
        self.set(sheet, &words, self.place.x, self.size * factor);
    }

    /// A paragraph.
    pub fn paragraph(&mut self, sheet: &mut Sheet, text: &str) {
        for part in text.split('\n').map(str::trim).filter(|part| !part.is_empty()) {
            let words = words(part, Style::Regular);
            self.set(sheet, &words, self.place.x, self.size);
        }
    }

    /// A paragraph in its own size, in sizes of the running text.
    pub fn small(&mut self, sheet: &mut Sheet, factor: f32, text: &str) {
        let words = words(text, Style::Regular);
        self.set(sheet, &words, self.place.x, self.size * factor);
    }

    /// An item of a list, with its number or sign hanging to the left.
    pub fn item(&mut self, sheet: &mut Sheet, sign: &str, text: &str) {
        let indent = 1.9 * self.size * MM_PER_POINT;
        let first = self.y + self.size * MM_PER_POINT;
        sheet.text(self.place.x, first, Style::Bold, self.size, sign);
        let words = words(text, Style::Regular);
        self.set(sheet, &words, self.place.x + indent, self.size);
    }

    /// Whether all that was set is inside the place.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn done(&self) -> Result<(), Overflow> {
        let by = self.y - self.place.bottom();
        // Half a point is the bottom line's leading, not text.
        if by > 0.5 { Err(Overflow { by }) } else { Ok(()) }
    }

    fn set(&mut self, sheet: &mut Sheet, words: &[Word], left: f32, size: f32) {
        let step = size * self.leading * MM_PER_POINT;
        let blank = self.fonts.width(Style::Regular, size, " ");
        let width = (self.place.right() - left).max(1.0);
        let mut x = 0.0;
        let mut open = false;
        for word in words {
            for word in self.fitting(word, size, width) {
                let wide: f32 = word.iter().map(|(style, text)| self.fonts.width(*style, size, text)).sum();
                if !open {
                    self.y += step;
                    open = true;
                } else if x + blank + wide > width {
                    self.y += step;
                    x = 0.0;
                } else {
                    x += blank;
                }
                // The baseline is above the line's foot.
                let baseline = self.y - (self.leading - 1.0) * size * MM_PER_POINT;
                for (style, text) in &word {
                    sheet.text(left + x, baseline, *style, size, text);
                    x += self.fonts.width(*style, size, text);
                }
            }
        }
    }

    /// The word, or its parts where it is wider than the column.
    fn fitting(&self, word: &Word, size: f32, width: f32) -> Vec<Word> {
        let wide: f32 = word.iter().map(|(style, text)| self.fonts.width(*style, size, text)).sum();
        if wide <= width {
            return vec![word.clone()];
        }
        let mut parts = Vec::new();
        for (style, text) in word {
            let mut part = String::new();
            for c in text.chars() {
                part.push(c);
                if self.fonts.width(*style, size, &part) > width && part.chars().count() > 1 {
                    part.pop();
                    parts.push(vec![(*style, std::mem::take(&mut part))]);
                    part.push(c);
                }
            }
            parts.push(vec![(*style, part)]);
        }
        parts
    }
}

/// Splits at blanks, and at `**` into faces. A no-break space stays inside its word.
fn words(text: &str, base: Style) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Word = Vec::new();
    let mut bold = false;
    for (at, part) in text.split("**").enumerate() {
        if at > 0 {
            bold = !bold;
        }
        let style = if bold { Style::Bold } else { base };
        let mut rest = part;
        while let Some(end) = rest.find([' ', '\n', '\t']) {
            let (head, tail) = rest.split_at(end);
            if !head.is_empty() {
                word.push((style, head.to_owned()));
            }
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            rest = tail.trim_start_matches([' ', '\n', '\t']);
        }
        if !rest.is_empty() {
            word.push((style, rest.to_owned()));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::paper::{Item, Size};

    fn lines(width: f32, text: &str) -> (Vec<(f32, String)>, Flow<'static>) {
        // Leaked: tests are short.
        let fonts: &'static Fonts = Box::leak(Box::new(Fonts::built_in().expect("fonts")));
        let mut sheet = Sheet::new(Size::A4);
        let mut flow = Flow::new(fonts, Place { x: 10.0, y: 10.0, width, height: 50.0 }, 10.0);
        flow.paragraph(&mut sheet, text);
        let mut lines: Vec<(f32, String)> = Vec::new();
        for item in &sheet.items {
            let Item::Text { x, y, style, size, text, .. } = item else { continue };
            assert!(*x >= 10.0 && x + fonts.width(*style, *size, text) <= 10.0 + width + 0.01, "{}", text.as_str());
            match lines.last_mut() {
                Some((last, line)) if *last == *y => {
                    line.push('|');
                    line.push_str(text);
                }
                _ => lines.push((*y, text.to_string())),
            }
        }
        (lines, flow)
    }

    #[test]
    fn words_stay_whole_and_inside() {
        let (broken, flow) = lines(30.0, "The quick brown fox jumps over the lazy dog");
        assert!(broken.len() > 2 && flow.done().is_ok(), "{broken:?}");
        let joined: Vec<&str> = broken.iter().flat_map(|(_, line)| line.split('|')).collect();
        assert_eq!(joined.join(" "), "The quick brown fox jumps over the lazy dog");
        let (long, _) = lines(20.0, "Donaudampfschifffahrtsgesellschaftskapitän");
        assert!(long.len() > 2);
        assert_eq!(
            long.iter().map(|(_, line)| line.as_str()).collect::<String>(),
            "Donaudampfschifffahrtsgesellschaftskapitän"
        );
    }

    #[test]
    fn bold_is_part_of_its_word() {
        let found = words("Your **new PIN**, not", Style::Regular);
        let texts: Vec<Vec<(Style, &str)>> =
            found.iter().map(|word| word.iter().map(|(style, text)| (*style, text.as_str())).collect()).collect();
        assert_eq!(
            texts,
            [
                vec![(Style::Regular, "Your")],
                vec![(Style::Bold, "new")],
                vec![(Style::Bold, "PIN"), (Style::Regular, ",")],
                vec![(Style::Regular, "not")]
            ]
        );
    }

    #[test]
    fn too_much_text_is_told() {
        let (_, flow) = lines(30.0, &"word ".repeat(200));
        assert!(flow.done().is_err_and(|overflow| overflow.by > 1.0));
    }
}
