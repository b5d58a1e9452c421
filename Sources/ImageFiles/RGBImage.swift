/// A picture of 8-bit red, green and blue: `[height, width, 3]`, row-major.
public struct RGBImage: Sendable, Equatable {
    public let width: Int
    public let height: Int
    public internal(set) var bytes: [UInt8]

    /// - Precondition: the sides are positive and `bytes.count == width * height * 3`.
    public init(width: Int, height: Int, bytes: [UInt8]) {
        precondition(width > 0 && height > 0, "a picture has at least one pixel")
        precondition(bytes.count == width * height * 3, "a picture's bytes must fill its shape")
        self.width = width
        self.height = height
        self.bytes = bytes
    }
}
