extension RGBImage {
    /// The edges of the picture, white on black: Canny's, with thresholds 100 and 200 on the colours, bit for bit those of
    /// OpenCV's `Canny(picture, 100, 200)`: no blur, and no grey between.
    public func edges() -> GreyImage {
        let gradients = EdgeGradients(self)
        return EdgeTracing(gradients).traced()
    }
}

/// The gradient of each pixel, of the channel in which it is largest; of equal ones, the first.
private struct EdgeGradients {
    let width: Int
    let height: Int
    private(set) var dx: [Int32]
    private(set) var dy: [Int32]
    /// |dx| + |dy|, with a border of zeros one pixel wide.
    private(set) var magnitude: [Int32]

    /// By Sobel's 3 x 3 kernels; beyond the border the outermost pixels go on.
    init(_ picture: RGBImage) {
        (width, height) = (picture.width, picture.height)
        dx = [Int32](repeating: 0, count: width * height)
        dy = dx
        magnitude = [Int32](repeating: 0, count: (width + 2) * (height + 2))
        for y in 0..<height {
            let rows = [max(0, y - 1), y, min(height - 1, y + 1)].map { $0 * width }
            for x in 0..<width {
                let columns = [max(0, x - 1), x, min(width - 1, x + 1)]
                var best = (magnitude: Int32(-1), dx: Int32(0), dy: Int32(0))
                for channel in 0..<3 {
                    func value(_ row: Int, _ column: Int) -> Int32 {
                        Int32(picture.bytes[3 * (rows[row] + columns[column]) + channel])
                    }
                    let across =
                        value(0, 2) + 2 * value(1, 2) + value(2, 2) - value(0, 0) - 2 * value(1, 0) - value(2, 0)
                    let down =
                        value(2, 0) + 2 * value(2, 1) + value(2, 2) - value(0, 0) - 2 * value(0, 1) - value(0, 2)
                    let magnitude = abs(across) + abs(down)
                    if magnitude > best.magnitude { best = (magnitude, across, down) }
                }
                dx[y * width + x] = best.dx
                dy[y * width + x] = best.dy
                magnitude[index(x, y)] = best.magnitude
            }
        }
    }

    /// Where a pixel's magnitude is.
    func index(_ x: Int, _ y: Int) -> Int { (y + 1) * (width + 2) + x + 1 }
    var stride: Int { width + 2 }
}

/// Thins the gradients to lines one pixel wide, and follows lines from where they are strong.
private struct EdgeTracing {
    private static let low: Int32 = 100
    private static let high: Int32 = 200
    /// tan 22.5 degrees in fractions of 2^15.
    private static let tangent = 13573

    private let gradients: EdgeGradients

    init(_ gradients: EdgeGradients) { self.gradients = gradients }

    func traced() -> GreyImage {
        let (width, height) = (gradients.width, gradients.height)
        var isCandidate = [Bool](repeating: false, count: gradients.magnitude.count)
        var isEdge = isCandidate
        var open: [Int] = []
        for y in 0..<height {
            for x in 0..<width where isPeak(x, y) {
                let index = gradients.index(x, y)
                isCandidate[index] = true
                if gradients.magnitude[index] > Self.high {
                    isEdge[index] = true
                    open.append(index)
                }
            }
        }
        let stride = gradients.stride
        while let index = open.popLast() {
            for neighbour in [-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1] {
                let next = index + neighbour
                guard isCandidate[next], !isEdge[next] else { continue }
                isEdge[next] = true
                open.append(next)
            }
        }
        var bytes = [UInt8](repeating: 0, count: width * height)
        for y in 0..<height {
            for x in 0..<width where isEdge[gradients.index(x, y)] { bytes[y * width + x] = 255 }
        }
        return GreyImage(width: width, height: height, bytes: bytes)
    }

    /// Whether the magnitude is above the lower threshold, and largest along the gradient's direction: across, down, or
    /// one of the diagonals.
    private func isPeak(_ x: Int, _ y: Int) -> Bool {
        let index = gradients.index(x, y)
        let magnitude = gradients.magnitude
        let here = magnitude[index]
        guard here > Self.low else { return false }
        let (dx, dy) = (Int(gradients.dx[y * gradients.width + x]), Int(gradients.dy[y * gradients.width + x]))
        let (across, down) = (abs(dx), abs(dy) << 15)
        let flat = across * Self.tangent
        if down < flat { return here > magnitude[index - 1] && here >= magnitude[index + 1] }
        let stride = gradients.stride
        // tan 67.5 degrees is 2 + tan 22.5 degrees.
        if down > flat + across << 16 {
            return here > magnitude[index - stride] && here >= magnitude[index + stride]
        }
        let side = (dx ^ dy) < 0 ? -1 : 1
        return here > magnitude[index - stride - side] && here > magnitude[index + stride + side]
    }
}
