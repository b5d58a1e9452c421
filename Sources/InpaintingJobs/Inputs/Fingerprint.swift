import Failures
import Foundation

/// Tells whether a file has changed: the FNV-1a hash of 64 bits of its contents. No defence against forgery.
struct Fingerprint {
    /// Larger files are hashed in part by `ofFiles`.
    static let largestWhole = 64 << 20
    private static let sampledBlocks = 64
    private static let offsetBasis: UInt64 = 0xcbf2_9ce4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01b3

    private var hash = offsetBasis

    /// 16 hexadecimal digits.
    static func of(_ bytes: some Sequence<UInt8>) -> String {
        var fingerprint = Fingerprint()
        fingerprint.add(bytes)
        return fingerprint.digits
    }

    /// The fingerprint of a file, which is read piece by piece.
    ///
    /// - Throws: `Failure.missingInput` if it can't be read.
    static func of(_ file: RegularFile) throws -> String {
        var fingerprint = Fingerprint()
        while true {
            let bytes = try file.read(atMost: 1 << 20)
            if bytes.isEmpty { return fingerprint.digits }
            fingerprint.add(bytes)
        }
    }

    /// One fingerprint of several files in this order, their sizes counted; of a large one, as much as `largestWhole`
    /// in blocks that are spread over it evenly.
    ///
    /// - Throws: `Failure.missingInput` naming the file that can't be read.
    static func ofFiles(_ paths: [String]) throws -> String {
        var fingerprint = Fingerprint()
        for path in paths {
            guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) else {
                throw Failure.missingInput("\(path): can't be read; is it a file, and may you read it?")
            }
            data.withUnsafeBytes { bytes in
                withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { fingerprint.add($0) }
                for block in sample(of: bytes.count) { fingerprint.add(UnsafeRawBufferPointer(rebasing: bytes[block])) }
            }
        }
        return fingerprint.digits
    }

    private static func sample(of count: Int) -> [Range<Int>] {
        guard count > largestWhole else { return [0..<count] }
        let length = largestWhole / sampledBlocks
        return (0..<sampledBlocks).map { block in
            let start = (count - length) / (sampledBlocks - 1) * block
            return start..<start + length
        }
    }

    private mutating func add(_ bytes: some Sequence<UInt8>) {
        hash = bytes.reduce(hash) { ($0 ^ UInt64($1)) &* Self.prime }
    }

    private var digits: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
