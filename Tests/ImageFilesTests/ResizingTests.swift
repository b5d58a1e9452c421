import ImageFiles
import Testing

struct ResizingTests {
    /// Equality with Pillow: the same weights in the same fixed point, rounded at the same places.
    @Test func sizesUpAndDownAsPillow() throws {
        let source = try DecodedImage.read(Fixtures.path("resize-source.png"))
        let expected = try Fixtures.decode([Fixtures.Resized].self, from: "resized.json")
        #expect(expected.count == 45)
        let filters: [String: ResamplingFilter] = [
            "nearest": .nearest, "box": .box, "bilinear": .bilinear, "bicubic": .bicubic,
            "lanczos": .lanczos,
        ]
        for picture in expected {
            let filter = try #require(filters[picture.filter])
            let rgb = source.rgb.resized(width: picture.width, height: picture.height, filter: filter)
            let grey = source.grey.resized(width: picture.width, height: picture.height, filter: filter)
            #expect(rgb.bytes.elementsEqual(picture.rgb), "RGB by \(filter) to \(picture.width) x \(picture.height)")
            #expect(grey.bytes.elementsEqual(picture.grey), "grey by \(filter) to \(picture.width) x \(picture.height)")
        }
    }
}
