/// Memory that can be sent as it stands, without a copy.
///
/// The contract: for as long as the value (or a copy of it) lives, its bytes stay at the same address and do not
/// change. So the pointer that `withUnsafeBytes` hands out stays valid after the call, while the region is kept; the
/// sending of a message relies on that.
public protocol ByteRegion: Sendable {
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

/// An array keeps the contract while it is kept and not changed: whoever changes another copy gets a buffer of his own.
extension [UInt8]: ByteRegion {}

extension ByteRegion {
    /// The bytes, to be read while the region is kept.
    var stableBytes: UnsafeRawBufferPointer { withUnsafeBytes { $0 } }
}
