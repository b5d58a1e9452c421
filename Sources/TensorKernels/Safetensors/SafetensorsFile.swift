import Failures

/// A safetensors file, mapped for reading, with every claim of its header checked.
///
/// Layout: the header's length (8 bytes, little-endian), the header (JSON), the tensors' bytes. The tensors lie without
/// overlap and without a hole between, and the last ends where the file ends; so a truncated file, or bytes that no
/// tensor names, are found here and not as zeros later.
public struct SafetensorsFile: Sendable {
    /// The format's own limit for the header, in bytes.
    public static let maximumHeaderLength = 100_000_000

    public let path: String
    /// The strings under `__metadata__`.
    public let metadata: [String: String]
    public let tensors: [String: StoredTensor]

    /// - Throws: `Failure.missingInput` if the file can't be read; `Failure.badData` if it is not a well-formed
    ///   safetensors file, saying what was expected and what was found. Pickle files are refused by name.
    public init(path: String) throws {
        let mapping = try MappedFile(path: path)
        try refusePickle(mapping)
        let headerLength = try Self.headerLength(of: mapping)
        let dataStart = 8 + headerLength
        let header: SafetensorsHeader
        do {
            header = try mapping.withUnsafeBytes {
                try SafetensorsHeaderParser.parse(UnsafeRawBufferPointer(rebasing: $0[8..<dataStart]))
            }
        } catch let error as SafetensorsHeaderError {
            throw Failure.badData(
                file: path, key: "safetensors header, byte \(error.position)", expected: error.expected,
                found: error.found)
        }
        self.path = path
        self.metadata = header.metadata
        self.tensors = try Self.tensors(of: header.entries, in: mapping, from: dataStart)
    }

    private static func headerLength(of mapping: MappedFile) throws -> Int {
        try mapping.withUnsafeBytes { bytes in
            guard bytes.count >= 10 else {
                throw Failure.badData(
                    "\(mapping.path): is no safetensors file, or a truncated one: it has \(bytes.count) bytes")
            }
            let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
            guard length >= 2 && length <= UInt64(maximumHeaderLength) else {
                throw Failure.badData(
                    file: mapping.path, key: "safetensors header length",
                    expected: "2 to \(maximumHeaderLength) bytes", found: "\(length)")
            }
            guard length <= UInt64(bytes.count - 8) else {
                throw Failure.badData(
                    file: mapping.path, key: "safetensors header length",
                    expected: "at most the \(bytes.count - 8) bytes that follow (is the file truncated?)",
                    found: "\(length)")
            }
            guard bytes[8] == UInt8(ascii: "{") else {
                throw Failure.badData(
                    file: mapping.path, key: "safetensors header", expected: "'{' as its first byte",
                    found: "0x\(String(bytes[8], radix: 16)); it is not a safetensors file")
            }
            return Int(length)
        }
    }

    private static func tensors(
        of entries: [SafetensorsHeader.Entry], in mapping: MappedFile, from dataStart: Int
    ) throws -> [String: StoredTensor] {
        let dataCount = mapping.count - dataStart
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(entries.count)
        var end = 0
        // A tensor without elements has begin == end, and comes before the one that starts there.
        for entry in entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            let (elementType, count) = try checkedSize(of: entry, file: mapping.path)
            guard entry.begin == end else {
                throw misplaced(
                    entry, file: mapping.path, expected: "data to begin at \(end), without overlap or hole",
                    found: "\(entry.begin)")
            }
            guard entry.end <= dataCount else {
                throw misplaced(
                    entry, file: mapping.path, expected: "data within the file's \(dataCount) bytes of data",
                    found: "an end at \(entry.end) (is the file truncated?)")
            }
            end = entry.end
            tensors[entry.name] = StoredTensor(
                name: entry.name, elementType: elementType, shape: entry.shape, count: count, mapping: mapping,
                range: dataStart + entry.begin..<dataStart + entry.end)
        }
        guard end == dataCount else {
            throw Failure.badData(
                file: mapping.path, key: "length", expected: "\(end) bytes of tensors", found: "\(dataCount)")
        }
        return tensors
    }

    /// The element type and count of an entry, whose span of bytes is what they ask for.
    private static func checkedSize(
        of entry: SafetensorsHeader.Entry, file: String
    ) throws -> (elementType: StoredElementType, count: Int) {
        guard let elementType = StoredElementType(rawValue: entry.elementType) else {
            throw misplaced(
                entry, file: file, expected: "a dtype such as F32, F16 or BF16", found: quoted(entry.elementType))
        }
        var byteCount = elementType.byteCount
        // A zero anywhere makes the product zero, whatever overflows beside it.
        if entry.shape.contains(0) {
            byteCount = 0
        } else {
            for size in entry.shape {
                let (product, overflows) = byteCount.multipliedReportingOverflow(by: size)
                if overflows {
                    throw misplaced(
                        entry, file: file, expected: "a size below 2^63 bytes", found: "the shape \(entry.shape)")
                }
                byteCount = product
            }
        }
        guard entry.begin <= entry.end, entry.end - entry.begin == byteCount else {
            throw misplaced(
                entry, file: file,
                expected: "\(byteCount) bytes for \(entry.elementType) of shape \(entry.shape)",
                found: "data_offsets [\(entry.begin), \(entry.end)]")
        }
        return (elementType, byteCount / elementType.byteCount)
    }

    private static func misplaced(
        _ entry: SafetensorsHeader.Entry, file: String, expected: String, found: String
    ) -> Failure {
        .badData(file: file, key: "tensor \(quoted(entry.name))", expected: expected, found: found)
    }
}

/// Refuses what PyTorch writes, by its first bytes: a zip archive or a bare pickle. Reading one can run any program.
private func refusePickle(_ mapping: MappedFile) throws {
    let isPickle = mapping.withUnsafeBytes { bytes in
        bytes.starts(with: [UInt8(ascii: "P"), UInt8(ascii: "K"), 3, 4])
            // A pickle's first byte, then its version; a safetensors header of this length would be odd, but could be.
            || (bytes.count >= 2 && bytes[0] == 0x80 && (2...5).contains(bytes[1])
                && !(bytes.count > 8 && bytes[8] == UInt8(ascii: "{")))
    }
    let suffix = [".bin", ".pt", ".pth", ".ckpt", ".pkl"].first { mapping.path.hasSuffix($0) }
    guard isPickle || suffix != nil else { return }
    throw Failure.badData(
        "\(mapping.path): is a pickle checkpoint, which can run programs when it is read and is never read here; "
            + "convert it to safetensors")
}
