import Foundation
import Glibc

/// Tells whether a file has changed: the FNV-1a hash of 64 bits of its contents. No defence against forgery.
enum Fingerprint {
    private static let offsetBasis: UInt64 = 0xcbf2_9ce4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01b3

    /// 16 hexadecimal digits.
    static func of(_ bytes: some Sequence<UInt8>) -> String {
        let hash = bytes.reduce(offsetBasis) { ($0 ^ UInt64($1)) &* prime }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// The fingerprint of a regular file; nil for what is none or can't be read.
    static func ofFile(_ path: String) -> String? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return FileManager.default.contents(atPath: path).map { data in data.withUnsafeBytes { of($0) } }
    }
}
