/* Measures distances by a function of the program's own: great-circle distances between places on the earth.
 *
 *   cc custom_metric.c -o custom_metric -lrhumb -lm
 *   ./custom_metric places.rhumb
 *
 * The name of the function is stored in the file, and every opening must supply a function of that name. It is called
 * by several threads at the same time.
 */
#include <math.h>
#include <rhumb.h>
#include <stdbool.h>
#include <stdio.h>

#define COUNT 8
#define K 3

static const char *const names[COUNT] = {"Apia", "Auckland", "Berlin", "London", "Madrid", "Nairobi", "Paris", "Suva"};

/* Latitude and longitude, in degrees. */
static const float places[COUNT][2] = {
    {-13.83f, -171.77f}, {-36.85f, 174.76f}, {52.52f, 13.40f}, {51.51f, -0.13f},
    {40.42f, -3.70f},    {-1.29f, 36.82f},   {48.86f, 2.35f},  {-18.14f, 178.44f},
};

static bool ok(rhumb_status status) {
    if (status == RHUMB_OK) return true;
    fprintf(stderr, "%s: %s\n", rhumb_status_name(status), rhumb_error_last()->message);
    return false;
}

/* The haversine formula, times the radius that `context` points to. */
static float great_circle(const void *a, const void *b, uint32_t dim, void *context) {
    const float *from = a;
    const float *to = b;
    const double *radius = context;
    const double radian = acos(-1.0) / 180;
    const double latitude = sin((to[0] - from[0]) * radian / 2);
    const double longitude = sin((to[1] - from[1]) * radian / 2);
    const double h = latitude * latitude + cos(from[0] * radian) * cos(to[0] * radian) * longitude * longitude;
    (void)dim; /* 2 */
    return (float)(2 * *radius * asin(sqrt(fmin(h, 1))));
}

static bool search(rhumb_index *index, const char *name, float latitude, float longitude) {
    const float query[2] = {latitude, longitude};
    uint64_t keys[K];
    float distances[K];
    size_t found_count;
    if (!ok(rhumb_index_search(index, query, K, NULL, keys, distances, &found_count))) return false;
    printf("nearest to %s:", name);
    for (size_t i = 0; i < found_count; i++)
        printf("%s %s %.0f km", i == 0 ? "" : ",", names[keys[i]], (double)distances[i]);
    printf("\n");
    return true;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "places.rhumb";
    double earth_radius_km = 6371;
    rhumb_index *index = NULL;
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.custom_name = "great_circle";
    open_options.custom_distance = great_circle;
    open_options.custom_context = &earth_radius_km;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = 2;
    options.metric = RHUMB_METRIC_CUSTOM;
    options.open = &open_options;
    if (!ok(rhumb_index_create(path, &options, &index))) return 1;
    bool well = ok(rhumb_index_insert_batch(index, NULL, places, COUNT, NULL, NULL));
    well = ok(rhumb_index_close(index)) && well;
    if (!well) return 1;

    rhumb_status status = rhumb_index_open(path, NULL, &index);
    if (status == RHUMB_E_METRIC) {
        printf("without the function: %s\n", rhumb_error_last()->message);
        status = rhumb_index_open(path, &open_options, &index);
    }
    if (!ok(status)) return 1;
    well = search(index, "Brussels", 50.85f, 4.35f) && search(index, "Nuku'alofa", -21.14f, -175.20f);
    well = ok(rhumb_index_close(index)) && well;
    return well ? 0 : 1;
}
