import CVectorKernels

/// The number formats that the inputs of products may have; sums are float32 whatever the format.
public enum ElementType: String, Sendable, CaseIterable {
    case float32
    case bfloat16

    public var byteCount: Int { self == .float32 ? 4 : 2 }

    /// The format's name in the C loops.
    var kernelType: pilot_element { self == .float32 ? pilot_float32 : pilot_bfloat16 }
}
