import ImageFiles

/// A white picture to put pictures and text on.
package struct SheetCanvas {
    let width: Int
    let height: Int
    private var bytes: [UInt8]

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        bytes = [UInt8](repeating: 255, count: 3 * width * height)
    }

    var picture: RGBImage { RGBImage(width: width, height: height, bytes: bytes) }

    /// Puts a picture's upper left corner at a place; it must fit.
    mutating func put(_ picture: RGBImage, x: Int, y: Int) {
        precondition(x >= 0 && y >= 0 && x + picture.width <= width && y + picture.height <= height)
        for row in 0..<picture.height {
            let line = picture.bytes[3 * row * picture.width..<3 * (row + 1) * picture.width]
            let start = 3 * ((y + row) * width + x)
            bytes.replaceSubrange(start..<start + line.count, with: line)
        }
    }

    /// Writes one line of text in black; what does not fit is left out.
    ///
    /// - Parameter scale: the side of a font's pixel.
    mutating func write(_ text: String, x: Int, y: Int, scale: Int) {
        for (index, character) in Self.ascii(text).enumerated() {
            let left = x + index * (BitmapFont.width + 1) * scale
            guard left + BitmapFont.width * scale <= width, y + BitmapFont.height * scale <= height else { return }
            for row in 0..<BitmapFont.height {
                for column in 0..<BitmapFont.width where BitmapFont.isBlack(character, row: row, column: column) {
                    fill(x: left + column * scale, y: y + row * scale, side: scale)
                }
            }
        }
    }

    /// One byte for each of the text's characters; a question mark for what the font has not.
    package static func ascii(_ text: String) -> [UInt8] {
        text.map { character in
            character.asciiValue.flatMap { (0x20..<0x7F).contains($0) ? $0 : nil } ?? UInt8(ascii: "?")
        }
    }

    private mutating func fill(x: Int, y: Int, side: Int) {
        for row in y..<y + side {
            for sample in 3 * (row * width + x)..<3 * (row * width + x + side) { bytes[sample] = 0 }
        }
    }
}
