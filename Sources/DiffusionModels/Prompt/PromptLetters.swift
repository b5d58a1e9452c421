extension [Unicode.Scalar] {
    /// Where a word is, with neither letter, digit nor underscore beside it.
    func ranges(ofWord word: String) -> [Range<Int>] {
        let pattern = Array(word.unicodeScalars)
        var ranges: [Range<Int>] = []
        var start = 0
        while start + pattern.count <= count {
            let end = start + pattern.count
            let isWord =
                self[start..<end].elementsEqual(pattern) && (start == 0 || !self[start - 1].isOfWord)
                && (end == count || !self[end].isOfWord)
            if isWord { ranges.append(start..<end) }
            start = isWord ? end : start + 1
        }
        return ranges
    }
}

extension Unicode.Scalar {
    /// A letter or a digit, of any script.
    var isLetterOrDigit: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            true
        default: false
        }
    }

    fileprivate var isOfWord: Bool { isLetterOrDigit || self == "_" }
}
