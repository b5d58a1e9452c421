/// An ICC colour profile for RGB pictures, as far as its header tells.
public struct ICCProfile: Sendable, Equatable {
    public let bytes: [UInt8]

    /// Display profiles have some kilobytes, tables for printers some megabytes. What is larger is not looked at.
    static let largest = 4 << 20
    private static let headerSize = 128
    /// Monitors, scanners and cameras, printers, colour spaces: the classes that say what a picture's numbers mean.
    private static let classes = ["mntr", "scnr", "prtr", "spac"]

    /// Why a profile can't be used, in words that go on "its colour profile is left out: it ".
    struct Fault: Error, Equatable {
        let reason: String

        static let damaged = Fault(reason: "is damaged")
        static let notForPNG = Fault(reason: "is none that a PNG file may have")
        static let tooLarge = Fault(reason: "has more than \(largest >> 20) MiB")
    }

    /// - Throws: `Fault` if these bytes are no such profile.
    init(_ bytes: [UInt8]) throws(Fault) {
        func word(_ offset: Int) -> String { String(latin1: bytes[offset..<(offset + 4)]) }

        guard bytes.count <= Self.largest else { throw .tooLarge }
        guard bytes.count > Self.headerSize else { throw .damaged }
        // Some programs fill the segments of a JPEG file up.
        let size = Self.number(bytes, 0)
        guard size > Self.headerSize, size <= bytes.count, word(36) == "acsp", Self.classes.contains(word(12)) else {
            throw .damaged
        }
        switch word(16) {
        case "RGB ": self.bytes = Array(bytes.prefix(size))
        case "GRAY": throw Fault(reason: "is for grey pictures, and results are RGB")
        case "CMYK": throw Fault(reason: "is for CMYK pictures, and results are RGB")
        default: throw Fault(reason: "is not for RGB pictures")
        }
    }

    /// Whether conversions go by matrices, curves and tables alone, whose work is bounded by their size. The elements
    /// of version 4.3 (`D2B0` to `B2D3`) form chains of any length, and are rare.
    var hasBoundedWork: Bool {
        guard bytes.count >= Self.headerSize + 4 else { return false }
        let (first, size) = (Self.headerSize + 4, 12)
        let count = Self.number(bytes, Self.headerSize)
        guard count <= (bytes.count - first) / size else { return false }
        return (0..<count).allSatisfy { tag in
            let name = bytes[(first + size * tag)...].prefix(3)
            return !name.elementsEqual("D2B".utf8) && !name.elementsEqual("B2D".utf8)
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
    }
}
