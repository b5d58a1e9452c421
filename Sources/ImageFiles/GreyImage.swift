/// A picture of 8-bit grey values: `[height, width]`, row-major.
public struct GreyImage: Sendable, Equatable {
    public let width: Int
    public let height: Int
    public internal(set) var bytes: [UInt8]

    /// - Precondition: the sides are positive and `bytes.count == width * height`.
    public init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(width > 0 && height > 0, "a picture has at least one pixel")
        precondition(bytes.count == width * height, "a picture's bytes must fill its shape")
        self.width = width
        self.height = height
        self.bytes = bytes
    }

    /// The mask this picture paints: grey >= 0.5, that is a byte >= 128, counts as 1.
    public func binaryMask() -> BinaryMask {
        BinaryMask(width: width, height: height, values: bytes.map { $0 >> 7 })
    }
}
