/// What happens to a prompt before it is split into words: NFC, each run of white space to one space, lower case.
enum PromptNormalization {
    static func normalize(_ text: [SourcedScalar]) -> [SourcedScalar] {
        var normalized: [SourcedScalar] = []
        normalized.reserveCapacity(text.count)
        var isInSpace = false
        for item in CanonicalComposition.compose(text) {
            let properties = item.scalar.properties
            if properties.isWhitespace {
                if !isInSpace { normalized.append(SourcedScalar(scalar: " ", origin: item.origin)) }
                isInSpace = true
                continue
            }
            isInSpace = false
            // Scalar by scalar, as the reference does: no final sigma, and "İ" becomes two scalars.
            for lower in properties.lowercaseMapping.unicodeScalars {
                normalized.append(SourcedScalar(scalar: lower, origin: item.origin))
            }
        }
        return normalized
    }

    static func sourced(_ text: String) -> [SourcedScalar] {
        text.unicodeScalars.enumerated().map { SourcedScalar(scalar: $0.element, origin: $0.offset) }
    }
}
