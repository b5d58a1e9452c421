import Foundation

/// A scalar of a text being rewritten, with the place in the original text it stems from.
struct SourcedScalar {
    var scalar: Unicode.Scalar
    /// Index into the original text's scalars.
    let origin: Int
}

/// Unicode normalisation form C (UAX #15), as the reference tokenizer computes it.
///
/// Foundation's own normalisation of whole strings is not used: swift-corelibs-foundation puts combining marks out of
/// order, and in places a replacement character, in sequences of marks of several scripts. Only its decompositions of
/// single scalars are taken. The reference's tables are those of Unicode 9: a character that came later has combining
/// class 0 there and composes with nothing.
struct CanonicalComposition {
    /// The Unicode version of the reference's normalisation tables.
    private static let tableVersion = 9

    /// Built at first need, since most prompts have nothing to compose.
    private static let shared = CanonicalComposition()

    /// Composites by the pair (first, second), 32 bits each.
    private let composites: [UInt64: Unicode.Scalar]

    private init() {
        var decompositions: [(composite: Unicode.Scalar, parts: [Unicode.Scalar])] = []
        // Composites are in the first two planes; Hangul syllables compose by arithmetic, ideographs not at all.
        for value in UInt32(0xC0)..<0x20000 {
            guard let scalar = Unicode.Scalar(value), !Hangul.syllables.contains(value),
                !scalar.properties.isIdeographic, !scalar.properties.isFullCompositionExclusion
            else { continue }
            let parts = Self.decomposition(of: scalar)
            if parts.count > 1 { decompositions.append((scalar, parts)) }
        }
        let byParts = Dictionary(decompositions.map { ($0.parts, $0.composite) }) { first, _ in first }
        var composites: [UInt64: Unicode.Scalar] = [:]
        for (composite, parts) in decompositions {
            guard let second = parts.last, let first = parts.count == 2 ? parts[0] : byParts[parts.dropLast()]
            else { continue }
            composites[Self.pair(first, second)] = composite
        }
        self.composites = composites
    }

    /// Composes `text` in place of what it was; origins follow the scalars, a composite has its first part's.
    static func compose(_ text: [SourcedScalar]) -> [SourcedScalar] {
        // Below U+0300 nothing decomposes to anything but itself, composed again, and nothing combines.
        guard text.contains(where: { $0.scalar.value >= 0x300 }) else { return text }
        var decomposed: [SourcedScalar] = []
        decomposed.reserveCapacity(text.count)
        for item in text {
            for part in decomposition(of: item.scalar) {
                decomposed.append(SourcedScalar(scalar: part, origin: item.origin))
            }
        }
        order(&decomposed)
        return shared.recompose(decomposed)
    }

    /// The full canonical decomposition of one scalar.
    private static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        if scalar.value < 0xC0 || !isInTables(scalar) { return [scalar] }
        if let jamo = Hangul.decomposition(of: scalar) { return jamo }
        return Array(String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars)
    }

    private static func isInTables(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return age.major <= tableVersion
    }

    private static func combiningClass(of scalar: Unicode.Scalar) -> UInt8 {
        guard scalar.value >= 0x300, isInTables(scalar) else { return 0 }
        return scalar.properties.canonicalCombiningClass.rawValue
    }

    /// The canonical ordering algorithm: each run of marks is sorted, stably, by combining class.
    private static func order(_ text: inout [SourcedScalar]) {
        var start = 0
        while start < text.count {
            var end = start
            var run: [(class: UInt8, item: SourcedScalar)] = []
            while end < text.count {
                let combiningClass = combiningClass(of: text[end].scalar)
                if combiningClass == 0 { break }
                run.append((combiningClass, text[end]))
                end += 1
            }
            if run.count > 1 {
                run.sort { $0.class < $1.class }
                for (offset, entry) in run.enumerated() { text[start + offset] = entry.item }
            }
            start = end + 1
        }
    }

    /// The canonical composition algorithm: a scalar joins the last starter unless something between blocks it.
    private func recompose(_ text: [SourcedScalar]) -> [SourcedScalar] {
        var composed: [SourcedScalar] = []
        composed.reserveCapacity(text.count)
        var starter: Int?
        var lastClass: UInt8 = 0
        for item in text {
            let combiningClass = Self.combiningClass(of: item.scalar)
            if let position = starter {
                let isAdjacent = position == composed.count - 1
                let isBlocked = !isAdjacent && lastClass >= combiningClass
                if !isBlocked, let composite = composite(composed[position].scalar, item.scalar) {
                    composed[position].scalar = composite
                    continue
                }
            }
            if combiningClass == 0 { starter = composed.count }
            lastClass = combiningClass
            composed.append(item)
        }
        return composed
    }

    private func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        Hangul.composite(first, second) ?? composites[Self.pair(first, second)]
    }

    private static func pair(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> UInt64 {
        UInt64(first.value) << 32 | UInt64(second.value)
    }
}

/// Hangul syllables are composed of two or three jamo by arithmetic (The Unicode Standard, section 3.12).
private enum Hangul {
    static let syllables: Range<UInt32> = 0xAC00..<0xD7A4
    private static let leads: Range<UInt32> = 0x1100..<0x1113
    private static let vowels: Range<UInt32> = 0x1161..<0x1176
    /// The first of the range stands for "no trailing consonant".
    private static let trails: Range<UInt32> = 0x11A7..<0x11C3

    static func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
        guard syllables.contains(scalar.value) else { return nil }
        let index = scalar.value - syllables.lowerBound
        let trail = index % UInt32(trails.count)
        let vowel = index / UInt32(trails.count) % UInt32(vowels.count)
        let lead = index / UInt32(trails.count * vowels.count)
        var values = [leads.lowerBound + lead, vowels.lowerBound + vowel]
        if trail > 0 { values.append(trails.lowerBound + trail) }
        return values.compactMap(Unicode.Scalar.init)
    }

    static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        if leads.contains(first.value), vowels.contains(second.value) {
            let lead = first.value - leads.lowerBound
            let vowel = second.value - vowels.lowerBound
            return Unicode.Scalar(
                syllables.lowerBound + (lead * UInt32(vowels.count) + vowel) * UInt32(trails.count))
        }
        if syllables.contains(first.value), (first.value - syllables.lowerBound) % UInt32(trails.count) == 0,
            trails.contains(second.value), second.value > trails.lowerBound
        {
            return Unicode.Scalar(first.value + second.value - trails.lowerBound)
        }
        return nil
    }
}
