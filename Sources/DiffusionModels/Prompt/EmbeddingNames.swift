/// Finds the names of embeddings in a text, in any case: leftmost first, of several the longest, and none that is a
/// part of a longer run of letters or digits.
struct EmbeddingNames: Sendable {
    enum Segment: Equatable {
        /// What lies between names, and the index of its first scalar.
        case text(String, origin: Int)
        /// A name, by its place in the list.
        case embedding(Int, origin: Int)
    }

    private struct Name: Sendable {
        let index: Int
        /// In lower case.
        let scalars: [Unicode.Scalar]
    }

    /// By first scalar, the longest first.
    private let names: [Unicode.Scalar: [Name]]

    init(_ names: [String]) {
        var byFirst: [Unicode.Scalar: [Name]] = [:]
        for (index, name) in names.enumerated() {
            let scalars = Self.lowered(name).map(\.scalar)
            if let first = scalars.first { byFirst[first, default: []].append(Name(index: index, scalars: scalars)) }
        }
        self.names = byFirst.mapValues { $0.sorted { $0.scalars.count > $1.scalars.count } }
    }

    /// Whether two names are one.
    static func areEqual(_ first: String, _ second: String) -> Bool {
        lowered(first).map(\.scalar) == lowered(second).map(\.scalar)
    }

    func split(_ text: String) -> [Segment] {
        guard !names.isEmpty else { return [.text(text, origin: 0)] }
        let written = Array(text.unicodeScalars)
        let scalars = Self.lowered(text)
        var segments: [Segment] = []
        var pending = 0
        func takeText(upTo end: Int) {
            guard pending < end else { return }
            segments.append(.text(String(String.UnicodeScalarView(written[pending..<end])), origin: pending))
        }
        var position = 0
        while position < scalars.count {
            guard let name = names[scalars[position].scalar]?.first(where: { matches($0, scalars, at: position) })
            else {
                position += 1
                continue
            }
            let end = position + name.scalars.count
            let origin = scalars[position].origin
            takeText(upTo: origin)
            segments.append(.embedding(name.index, origin: origin))
            pending = end < scalars.count ? scalars[end].origin : written.count
            position = end
        }
        takeText(upTo: written.count)
        return segments
    }

    private func matches(_ name: Name, _ text: [SourcedScalar], at start: Int) -> Bool {
        let end = start + name.scalars.count
        guard text[...].starts(name.scalars, at: start) else { return false }
        /// Whether the text may be cut before a scalar: not inside of what was one letter, nor of a run of letters.
        func isBorder(_ index: Int) -> Bool {
            guard index > 0, index < text.count else { return true }
            return text[index - 1].origin != text[index].origin
                && !(text[index - 1].scalar.isLetterOrDigit && text[index].scalar.isLetterOrDigit)
        }
        return isBorder(start) && isBorder(end)
    }

    private static func lowered(_ text: String) -> [SourcedScalar] {
        PromptNormalization.sourced(text).flatMap { item in
            item.scalar.properties.lowercaseMapping.unicodeScalars.map {
                SourcedScalar(scalar: $0, origin: item.origin)
            }
        }
    }
}
