//! The names of elements whose tags are taken out of messages.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Length of the longest name in the lists, in bytes; a longer name needs no look-up.
pub(super) const LONGEST_NAME: usize = 19;

/// Every HTML element, current and obsolete, sorted.
const HTML: &str = "\
    a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big \
    blink blockquote body br button canvas caption center cite code col colgroup command data \
    datalist dd del details dfn dialog dir div dl dt em embed fieldset figcaption figure font \
    footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img \
    input ins isindex kbd keygen label legend li link listing main map mark marquee math menu \
    menuitem meta meter multicol nav nextid nobr noembed noframes noscript object ol optgroup \
    option output p param picture plaintext pre progress q rb rp rt rtc ruby s samp script \
    search section select selectedcontent slot small source spacer span strike strong style \
    sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt \
    u ul var video wbr xmp";

/// Elements of SVG 1.1 and SVG 2 that HTML has not, in lower case as a tokenizer reports them,
/// sorted.
///
/// SVG 2 also lists `unknown`, its stand-in for elements it does not define. Nobody writes it as
/// a tag, while `<unknown>` is common in plain text, so it is not a name here.
const SVG: &str = "\
    altglyph altglyphdef altglyphitem animate animatecolor animatemotion animatetransform \
    circle clippath color-profile cursor defs desc discard ellipse feblend fecolormatrix \
    fecomponenttransfer fecomposite feconvolvematrix fediffuselighting fedisplacementmap \
    fedistantlight fedropshadow feflood fefunca fefuncb fefuncg fefuncr fegaussianblur feimage \
    femerge femergenode femorphology feoffset fepointlight fespecularlighting fespotlight \
    fetile feturbulence filter font-face font-face-format font-face-name font-face-src \
    font-face-uri foreignobject g glyph glyphref hatch hatchpath hkern line lineargradient \
    marker mask mesh meshgradient meshpatch meshrow metadata missing-glyph mpath path pattern \
    polygon polyline radialgradient rect set solidcolor stop switch symbol text textpath tref \
    tspan use view vkern";

/// Elements of MathML Core and of presentation MathML, sorted.
///
/// Content MathML is left out: its names (`int`, `list`, `set`, `vector`) are those of type
/// parameters in code, and no browser shows them.
const MATHML: &str = "\
    annotation annotation-xml maction maligngroup malignmark math menclose merror mfenced \
    mfrac mglyph mi mlabeledtr mlongdiv mmultiscripts mn mo mover mpadded mphantom mprescripts \
    mroot mrow ms mscarries mscarry msgroup msline mspace msqrt msrow mstack mstyle msub \
    msubsup msup mtable mtd mtext mtr munder munderover none semantics";

/// All names in one set: a look-up must not cost a walk through 300 of them.
static NAMES: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    [HTML, SVG, MATHML].into_iter().flat_map(str::split_ascii_whitespace).map(str::as_bytes).collect()
});

/// Whether `name`, in lower case, is that of an HTML, SVG or MathML element.
pub(super) fn is_element(name: &[u8]) -> bool {
    NAMES.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_lower_case_and_free_of_doubles() {
        for list in [HTML, SVG, MATHML] {
            let names: Vec<_> = list.split_ascii_whitespace().collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!(list, list.to_ascii_lowercase());
        }
    }

    #[test]
    fn the_longest_name_is_as_long_as_stated() {
        let longest = NAMES.iter().map(|name| name.len()).max();
        assert_eq!(longest, Some(LONGEST_NAME));
    }

    #[test]
    fn elements_of_all_three_languages_are_known_and_other_words_are_not() {
        for name in ["b", "marquee", "image", "foreignobject", "annotation-xml", "h6", "xmp"] {
            assert!(is_element(name.as_bytes()), "{name}");
        }
        for name in ["", "string", "t", "https:", "ana@x.example", "h7", "int", "unknown"] {
            assert!(!is_element(name.as_bytes()), "{name}");
        }
    }
}
