import TensorKernels

/// How the networks compute, as far as the picture depends on it.
///
/// The records of old versions say `threads` here too; it is not read, since no picture depends on it.
public struct Computation: Codable, Equatable, Sendable {
    /// The format of the UNet's weights and activations.
    public var elementType = ElementType.float32
    public var backend = BackendName.oneDNN

    public init() {}

    /// `float32, onednn`
    public var summary: String { "\(elementType.rawValue), \(backend.rawValue)" }
}

extension ElementType: Codable {}
extension BackendName: Codable {}
