import ImageFiles
import Testing

struct MaskLikenessTests {
    private func saved(_ folder: String, _ name: String, width: Int, height: Int, _ grey: (Int, Int) -> Int) throws
        -> DecodedImage
    {
        let bytes = (0..<height).flatMap { y in
            (0..<width).flatMap { x in [UInt8](repeating: UInt8(max(0, min(255, grey(x, y)))), count: 3) }
        }
        try RGBImage(width: width, height: height, bytes: bytes).writePNG(to: "\(folder)/\(name)")
        return try DecodedImage.read("\(folder)/\(name)")
    }

    @Test func aPhotographAsMaskIsSaid() throws {
        let photograph = try DecodedImage.read(Fixtures.path("Colour/plain.png"))
        let other = try DecodedImage.read(Fixtures.path("Colour/wide.png"))
        let warning = try #require(other.likenessWarning(asMaskOf: photograph))
        #expect(warning.hasPrefix("\(other.path): ") && warning.contains("% of the mask's pixels are neither"))
        try withTemporaryFolder { folder in
            let clear = try saved(folder, "clear.png", width: 600, height: 48) { x, _ in x < 200 ? 255 : 0 }
            let soft = try saved(folder, "soft.png", width: 64, height: 48) { x, _ in 16 * (x - 24) }
            for mask in [clear, soft] { #expect(mask.likenessWarning(asMaskOf: photograph) == nil) }
            #expect(
                photograph.likenessWarning(asMaskOf: clear)
                    == "\(clear.path) is black and white, and \(photograph.path) looks like a photograph: are image and "
                    + "mask swapped?")
        }
    }
}
