extension RGBImage {
    /// Puts pictures of one height side by side.
    ///
    /// - Parameters:
    ///   - gap: white columns between two pictures, counted before the enlargement.
    ///   - factor: every pixel becomes a square of this side.
    public static func strip(_ pictures: [RGBImage], gap: Int = 0, enlarged factor: Int = 1) -> RGBImage {
        precondition(factor >= 1 && gap >= 0 && !pictures.isEmpty, "a strip needs pictures")
        let height = pictures[0].height
        precondition(pictures.allSatisfy { $0.height == height }, "a strip's pictures have one height")
        let width = pictures.reduce(gap * (pictures.count - 1)) { $0 + $1.width }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(3 * width * height * factor * factor)
        for row in 0..<height {
            var line: [UInt8] = []
            for (index, picture) in pictures.enumerated() {
                if index > 0 { line += [UInt8](repeating: 255, count: 3 * gap) }
                line += picture.bytes[(3 * row * picture.width)..<(3 * (row + 1) * picture.width)]
            }
            let wide = enlarge(line, by: factor)
            for _ in 0..<factor { bytes += wide }
        }
        return RGBImage(width: width * factor, height: height * factor, bytes: bytes)
    }

    /// Puts pictures below each other; narrow ones have white beside them.
    ///
    /// - Parameter gap: white rows between two pictures.
    public static func stack(_ pictures: [RGBImage], gap: Int) -> RGBImage {
        precondition(gap >= 0 && !pictures.isEmpty, "a stack needs pictures")
        let width = pictures.reduce(0) { max($0, $1.width) }
        var bytes: [UInt8] = []
        for (index, picture) in pictures.enumerated() {
            if index > 0 { bytes += [UInt8](repeating: 255, count: 3 * gap * width) }
            guard picture.width < width else {
                bytes += picture.bytes
                continue
            }
            for row in 0..<picture.height {
                bytes += picture.bytes[(3 * row * picture.width)..<(3 * (row + 1) * picture.width)]
                bytes += [UInt8](repeating: 255, count: 3 * (width - picture.width))
            }
        }
        return RGBImage(width: width, height: bytes.count / (3 * width), bytes: bytes)
    }

    private static func enlarge(_ line: [UInt8], by factor: Int) -> [UInt8] {
        guard factor > 1 else { return line }
        var wide: [UInt8] = []
        wide.reserveCapacity(line.count * factor)
        for start in stride(from: 0, to: line.count, by: 3) {
            for _ in 0..<factor { wide += line[start..<(start + 3)] }
        }
        return wide
    }
}
