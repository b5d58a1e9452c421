/// Whether any of the float32, float16 or bfloat16 elements in `bytes` is NaN or infinite.
/// - Precondition: `elementType.isNetworkType`.
public func containsNonFinite(_ bytes: UnsafeRawBufferPointer, _ elementType: StoredElementType) -> Bool {
    indexOfFirstNonFinite(in: bytes, elementType) != nil
}

func indexOfFirstNonFinite(in bytes: UnsafeRawBufferPointer, _ elementType: StoredElementType) -> Int? {
    switch elementType {
    case .float32: firstFilled(in: bytes, exponent: 0x7f80_0000 as UInt32)
    case .float16: firstFilled(in: bytes, exponent: 0x7c00 as UInt16)
    case .bfloat16: firstFilled(in: bytes, exponent: 0x7f80 as UInt16)
    default: preconditionFailure("\(elementType.rawValue) elements are not a network's")
    }
}

/// The index of the first element whose exponent bits are all set, which is what NaN and infinity have in common.
///
/// Whole blocks are tested without a branch per element, so that the loop is vectorised and runs as fast as memory.
private func firstFilled<Bits: FixedWidthInteger & UnsignedInteger>(
    in bytes: UnsafeRawBufferPointer, exponent: Bits
) -> Int? {
    let size = MemoryLayout<Bits>.size
    let count = bytes.count / size
    let blockLength = 4096
    var start = 0
    while start < count {
        let end = min(start + blockLength, count)
        var found: Bits = 0
        for index in start..<end {
            let value = bytes.loadUnaligned(fromByteOffset: index &* size, as: Bits.self)
            found |= value & exponent == exponent ? 1 : 0
        }
        if found != 0 {
            return (start..<end).first { index in
                bytes.loadUnaligned(fromByteOffset: index * size, as: Bits.self) & exponent == exponent
            }
        }
        start = end
    }
    return nil
}
