import Failures

extension RGBImage {
    /// The picture as the networks want it: float32 planes `[3, height, width]`, a byte b as b / 127.5 - 1, in [-1, 1].
    public var planes: [Float] {
        let count = width * height
        var planes = [Float](repeating: 0, count: 3 * count)
        for pixel in 0..<count {
            for channel in 0..<3 {
                planes[channel * count + pixel] = Float(bytes[3 * pixel + channel]) / 127.5 - 1
            }
        }
        return planes
    }

    /// The picture that float32 planes `[3, height, width]` in [-1, 1] describe: x / 2 + 1/2, clamped to [0, 1], times
    /// 255, rounded half to even, which is what diffusers' image processor does.
    /// - Throws: `Failure.internalFault` if a value is not finite.
    /// - Precondition: `planes.count == 3 * width * height`.
    public init(planes: [Float], width: Int, height: Int) throws {
        let count = width * height
        precondition(planes.count == 3 * count, "a picture's planes must fill its shape")
        var bytes = [UInt8](repeating: 0, count: 3 * count)
        for pixel in 0..<count {
            for channel in 0..<3 {
                let value = planes[channel * count + pixel]
                guard value.isFinite else {
                    let place = "channel \(channel), row \(pixel / width), column \(pixel % width)"
                    throw Failure.internalFault("the decoded picture is \(value) at \(place)")
                }
                let unit = min(1, max(0, value / 2 + 0.5))
                bytes[3 * pixel + channel] = UInt8((unit * 255).rounded(.toNearestOrEven))
            }
        }
        self.init(width: width, height: height, bytes: bytes)
    }
}
