/// Which pixels are repainted (1) and which are kept (0): `[height, width]`, row-major.
public struct BinaryMask: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// Zeros and ones.
    public let values: [UInt8]

    /// - Precondition: the sides are positive, `values.count == width * height`, and every value is 0 or 1.
    public init(width: Int, height: Int, values: [UInt8]) {
        precondition(width > 0 && height > 0, "a mask has at least one pixel")
        precondition(values.count == width * height, "a mask's values must fill its shape")
        precondition(values.allSatisfy { $0 <= 1 }, "a mask's values are 0 and 1")
        self.width = width
        self.height = height
        self.values = values
    }

    /// With kept and repainted exchanged: for files that paint in black what is to be repainted.
    public var inverted: BinaryMask {
        BinaryMask(width: width, height: height, values: values.map { 1 - $0 })
    }

    /// With what is repainted grown by a disc of so many pixels' radius, or, below 0, shrunk by one: a pixel is reached
    /// if its centre is that far away at most. The picture's border is no edge.
    public func grown(by radius: Int) -> BinaryMask {
        guard radius != 0 else { return self }
        // What shrinks is grown on the other side.
        let source = radius > 0 ? inverted : self
        let reached: UInt8 = radius > 0 ? 1 : 0
        // No distance within the picture is greater, and where there is none, what is found is one more.
        let reach = min(Int(radius.magnitude), width + height)
        let distances = DistanceToKept(source, limit: reach)
        return BinaryMask(
            width: width, height: height,
            values: values.indices.map { pixel in
                values[pixel] != reached && distances.square(at: pixel) <= reach * reach ? reached : values[pixel]
            })
    }

    /// The number of pixels to repaint.
    public var repaintedCount: Int { values.reduce(0) { $0 + Int($1) } }
}
